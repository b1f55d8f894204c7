"""Each item is computed while the one before it is used."""

import threading
from collections.abc import Iterator

import pytest

from dwiser.io.ahead import ahead


def test_one_item_is_computed_while_another_is_used() -> None:
    second = threading.Event()

    def items() -> Iterator[int]:
        yield 1
        second.set()
        yield 2

    received = []
    for item in ahead(items()):
        assert second.wait(5)
        received.append(item)
    assert received == [1, 2]


def test_a_fault_of_the_items_comes_through_after_those_before_it() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise ValueError("two")

    received = []
    with pytest.raises(ValueError, match="two"):
        received.extend(ahead(items()))
    assert received == [1]
