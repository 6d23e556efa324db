"""A sender of images in TraP's stream format, whose connections can fail."""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence


@contextmanager
def sender(*connections: Sequence[bytes]) -> Iterator[str]:
    """Serve each connection with its messages in order, and then close it.

    Yields the address. Whoever connects once more is kept waiting.
    """
    server = socket.create_server(("127.0.0.1", 0))
    ended = threading.Event()

    def serve() -> None:
        try:
            for messages in connections:
                connection, _ = server.accept()
                with connection:
                    for message in messages:
                        connection.sendall(message)
            waiting, _ = server.accept()
            with waiting:
                ended.wait()
        except OSError:
            return  # the test is over

    thread = threading.Thread(target=serve, daemon=True)
    thread.start()
    try:
        yield f"127.0.0.1:{server.getsockname()[1]}"
    finally:
        ended.set()
        server.shutdown(socket.SHUT_RDWR)
        server.close()
        thread.join()
