"""The tests of an image as scripts. They run in a stage that no image keeps."""

from __future__ import annotations

from collections.abc import Iterable

from builder.recipe.model import Run
from builder.recipe.quoting import script
from ci.workflow_settings import ImageTest

NOBODY = "65534"  # the number of a user that owns nothing, on every Linux
_NAME_CHARACTERS = 200


def checks(tests: Iterable[ImageTest]) -> tuple[Run, ...]:
    """Return a script for each test, without a network and without rights.

    A script that fails says in its last line, after ``error:``, which test it was and why.

    Raises:
        EntryError: a word has a control character.
    """
    return tuple(_check(number, test) for number, test in enumerate(tests, start=1))


def _check(number: int, test: ImageTest) -> Run:
    words = test.words
    if test.kind == "import":
        words = ("python3", "-c", "import " + ", ".join(test.words))
    told = " ".join([test.kind, *test.words])
    name = f"test {number} ({told[:_NAME_CHARACTERS]})"
    lines = script("test", words=words, name=name, contains=test.contains)
    return Run(lines, network=False, user=NOBODY, title=f"test {number} of the image")
