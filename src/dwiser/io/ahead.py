"""What is computed in a thread before it is asked for."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

Item = TypeVar("Item")


def ahead(items: Iterable[Item]) -> Iterator[Item]:
    """Compute each item in a thread while the one before it is used.

    Parameters
    ----------
    items : any number of them.

    Yields
    ------
    The same items in the same order; an exception where ``items`` raises it.
    """
    iterator = iter(items)
    end: Any = object()
    with ThreadPoolExecutor(1) as worker:
        following = worker.submit(next, iterator, end)
        while (item := following.result()) is not end:
            following = worker.submit(next, iterator, end)
            yield item
