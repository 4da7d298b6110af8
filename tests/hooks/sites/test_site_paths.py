from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ci.errors import EntryError
from hooks.sites.paths import below

FOLDER = PurePosixPath("/work/1")


@pytest.mark.parametrize("path", ["", ".", "..", "../x", "a/../../x", "/etc/passwd", "a\nb", "\0"])
def test_what_could_leave_the_folder_is_refused(path: str) -> None:
    with pytest.raises(EntryError, match="inside"):
        below(FOLDER, path)


@given(st.text(max_size=30))
def test_all_else_is_below_it(path: str) -> None:
    try:
        inside = below(FOLDER, path)
    except EntryError:
        return
    assert FOLDER in inside.parents
    assert ".." not in inside.parts
