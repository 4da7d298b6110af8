import os

import pytest

from ci.errors import EntryError
from ci.parallel import spread


def test_results_come_in_the_order_of_the_items() -> None:
    items = [str(number) for number in range(500)]
    text = "of the caller, and not of a module"
    for workers in (1, 3):
        assert list(spread(lambda item: item + text, items, workers)) == [i + text for i in items]


def test_many_items_are_done_by_other_processes_and_few_by_this_one() -> None:
    items = [str(number) for number in range(200)]
    assert os.getpid() not in spread(lambda _: os.getpid(), items, 2)
    assert set(spread(lambda _: os.getpid(), items[:10], 2)) == {os.getpid()}
    assert set(spread(lambda _: os.getpid(), items, 1)) == {os.getpid()}


def test_an_error_of_a_child_reaches_the_caller() -> None:
    def refuse(item: str) -> str:
        raise EntryError(f"{item} is wrong")

    with pytest.raises(EntryError, match="is wrong"):
        list(spread(refuse, [str(number) for number in range(200)], 2))
