"""Where threads leave messages for the one thread that draws: a queue, and a pipe that wakes it."""

import os
import queue
import threading

from cortex_cli.board.messages import Incoming

ROOM = 2_000  # messages that wait at most: some 60 frames of events
_LOOK_S = 0.2


class Inbox:
    """post: from any thread. take, fileno, close: from the drawing thread only, which made it."""

    def __init__(self) -> None:
        self._drawing = threading.get_ident()
        self._room = threading.Semaphore(ROOM)
        self._messages: queue.SimpleQueue[Incoming] = queue.SimpleQueue()
        self._reader, self.writer = os.pipe()  # writer: also for signal.set_wakeup_fd
        os.set_blocking(self._reader, False)
        os.set_blocking(self.writer, False)
        self._closed = False

    def fileno(self) -> int:
        return self._reader

    def post(self, message: Incoming) -> None:
        """Leave a message and wake the drawing thread. Never raises.

        Waits while there is no room: a stream that brings more than can be shown is read more
        slowly, and its server keeps what follows.
        """
        if threading.get_ident() == self._drawing:
            self._room.acquire(blocking=False)
        else:
            while not self._closed and not self._room.acquire(timeout=_LOOK_S):
                pass
        self._messages.put(message)
        if not self._closed:
            try:
                os.write(self.writer, b".")
            except OSError:
                pass  # full: it is awake already; closed: nobody draws any more

    def take(self, limit: int) -> list[Incoming]:
        """At most `limit` messages, oldest first; the pipe wakes again while some are left."""
        try:
            os.read(self._reader, 65_536)  # before reading the queue: a wake during it must survive
        except BlockingIOError:
            pass
        taken: list[Incoming] = []
        while len(taken) < limit:
            try:
                taken.append(self._messages.get_nowait())
            except queue.Empty:
                return taken
            self._room.release()
        if not self._messages.empty():
            os.write(self.writer, b".")
        return taken

    def close(self) -> None:
        self._closed = True
        os.close(self._reader)
        # The writer stays open: a thread may be about to write, and its number must not be reused.
