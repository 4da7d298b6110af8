"""What takes long says that it goes on; what does not, or has ended, says nothing."""

import threading

import pytest

from ci.errors import SiteError
from hooks.dispatch.slowness import unless_quick

LONG = 3600.0


def test_what_is_quick_says_nothing():
    said = []
    with unless_quick(lambda: said.append(1), LONG):
        pass
    assert said == []


def test_what_is_slow_says_so_while_it_goes_on():
    said = threading.Event()
    with unless_quick(said.set, 0.0):
        assert said.wait(20)


def test_what_fails_says_so_since_it_is_tried_again():
    said = []
    with pytest.raises(SiteError, match="away"), unless_quick(lambda: said.append(1), LONG):
        raise SiteError("away")
    assert said == [1]


def test_that_it_cannot_be_said_changes_nothing(caplog):
    tried = threading.Event()

    def say():
        tried.set()
        raise SiteError("GitHub is away", transient=True)

    with unless_quick(say, 0.0):
        assert tried.wait(20)
    with pytest.raises(SiteError, match="registry"), unless_quick(say, LONG):
        raise SiteError("no registry")
    assert "GitHub is away" in caplog.text
