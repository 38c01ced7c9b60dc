"""A gate that lets so many in at a time, and turns the others away at once."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """For any thread."""

    def __init__(self, most: int) -> None:
        self._places = threading.Semaphore(most)

    @contextmanager
    def entered(self) -> Iterator[bool]:
        """A place until the block ends; False: there was none left."""
        got = self._places.acquire(blocking=False)
        try:
            yield got
        finally:
            if got:
                self._places.release()
