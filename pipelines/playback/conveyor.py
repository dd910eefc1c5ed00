"""Work that goes on in threads while something else is done, in order and never far ahead."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, Generic, TypeVar

T = TypeVar("T")
S = TypeVar("S")


def ahead(work: Callable[[S], T], items: Iterable[S], most: int) -> Generator[T, None, None]:
    """`work` of each item, in order, done in a thread up to `most` items ahead of who takes them.

    An error of `work` is raised where its result would be taken; leaving early ends the thread.
    """
    pool = ThreadPoolExecutor(1)
    try:
        waiting: deque[Future[T]] = deque()
        for item in items:
            waiting.append(pool.submit(work, item))
            if len(waiting) > most:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


class Behind(Generic[T]):
    """Does `work` on what is put, in order, in a thread; `put` waits while more than `most` are not done yet.

    Use it in a `with` block: leaving it normally waits for all of them, an error inside gives up those not begun. An
    error of `work` is raised by a later `put` or at the end of the block.
    """

    def __init__(self, work: Callable[..., T], most: int) -> None:
        self._work, self._most = work, most
        self._waiting: deque[Future[T]] = deque()
        self._pool = ThreadPoolExecutor(1)

    def put(self, *what: Any) -> None:
        self._waiting.append(self._pool.submit(self._work, *what))
        while len(self._waiting) > self._most:
            self._waiting.popleft().result()

    def __enter__(self) -> Behind[T]:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        try:
            while kind is None and self._waiting:
                self._waiting.popleft().result()
        finally:
            self._pool.shutdown(cancel_futures=True)
