"""Downloads of tables: all columns and all selected rows, byte for byte as ``transients export`` writes them.

A thread reads the database and writes into a short queue, from which the response is sent. So the memory does not
depend on the number of rows, nothing is kept on disk, and a reader who leaves ends the thread.
"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from itertools import chain
from queue import Empty, Full, Queue
from typing import TYPE_CHECKING, cast

import structlog
from fastapi import APIRouter, Request
from fastapi.responses import StreamingResponse
from starlette.responses import Response

from trap.db.result_tables import CHUNK
from trap.errors import ConfigError
from trap.report.formats import FORMATS
from trap.results import Dataset
from trap.results.exports import export_stream
from trap.selection import nearest_names
from trap.web.queries import VIEW, parse_query
from trap.web.site import CurrentDataset, CurrentSite, Site
from trap.web.tables import TABLES, downloadable

if TYPE_CHECKING:
    from typing import BinaryIO

    from trap.db.reader import Reader
    from trap.selection import Selection

__all__ = ["router"]

router = APIRouter(include_in_schema=False)
PIECE = 1 << 18
"""Bytes of a piece of a response."""
PIECES = 4
"""Pieces that wait to be sent."""
SMALL_CHUNK = 4000
"""Rows in memory, fewer than those of an export, whose process has the memory to itself."""
POLL_SECONDS = 0.2
"""s — time after which a thread looks whether the other one is still there."""
TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json", "votable": "application/x-votable+xml",
         "fits": "application/fits", "parquet": "application/vnd.apache.parquet"}  # fmt: skip
_logger = structlog.get_logger(__name__)


class _Pipe(io.RawIOBase):
    """A file for writing, whose content another thread reads in pieces.

    Parameters
    ----------
    write
        Function that fills the file; a thread calls it, and closes it at the end.
    """

    def __init__(self, write: Callable[[BinaryIO], None]) -> None:
        self._write_all = write
        self._queue: Queue[bytes | BaseException | None] = Queue(PIECES)
        self._waiting = bytearray()
        self._is_left = threading.Event()
        self._n_bytes = 0
        self._thread = threading.Thread(target=self._fill, daemon=True, name="download")

    def writable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._n_bytes

    def write(self, content: bytes) -> int:  # type: ignore[override]
        """Take bytes; wait while enough of them are to be sent."""
        self._waiting += content
        self._n_bytes += len(content)
        if len(self._waiting) >= PIECE:
            self._send(bytes(self._waiting))
            self._waiting.clear()
        return len(content)

    def pieces(self) -> Iterator[bytes]:
        """Start the thread, and yield its bytes until it ends.

        Raises
        ------
        Exception
            The error of the thread, if it fails before the first piece is ready, or later; then the response ends
            early, which programs notice.
        """
        self._thread.start()
        try:
            while True:
                try:
                    piece = self._queue.get(timeout=POLL_SECONDS)
                except Empty:
                    continue
                if piece is None:
                    return
                if isinstance(piece, BaseException):
                    raise piece
                yield piece
        finally:
            self._is_left.set()

    def _fill(self) -> None:
        """Write the file in the thread, and end it for the reader."""
        try:
            self._write_all(cast("BinaryIO", self))
            if self._waiting:
                self._send(bytes(self._waiting))
            self._send(None)
        except CancelledError:
            _logger.info("download_left", n_bytes=self._n_bytes)
        except BaseException as error:  # noqa: BLE001 (the reader raises it)
            self._send_error(error)

    def _send(self, piece: bytes | BaseException | None) -> None:
        while not self._is_left.is_set():
            try:
                self._queue.put(piece, timeout=POLL_SECONDS)
            except Full:
                continue
            return
        raise CancelledError

    def _send_error(self, error: BaseException) -> None:
        try:
            self._send(error)
        except CancelledError:
            _logger.warning("download_failed", error=str(error))


def _content(
    reader: Reader, name: str, number: int, selection: Selection, *, format_name: str
) -> Callable[[BinaryIO], None]:
    """Return the function that writes a table into a file."""
    table_format = FORMATS[format_name]

    def write(file: BinaryIO) -> None:
        """Write all rows."""
        if table_format.write is None:
            msg = f"{format_name} is no format of one file"
            raise ValueError(msg)
        with reader.read() as connection:
            chunk = CHUNK if table_format.name == "parquet" else SMALL_CHUNK
            table = export_stream(
                connection, name, [number], selection, needs_widths=table_format.needs_widths, chunk=chunk
            )
            table_format.write(table, file)

    return write


def _download(name: str) -> Callable[[Request, Site, Dataset], Response]:
    """Return the page that downloads a table."""

    def download(request: Request, site: CurrentSite, dataset: CurrentDataset) -> Response:
        """Send the file."""
        items = request.query_params.multi_items()
        chosen = [text for key, text in items if key == "format"]
        known = downloadable(name)
        if len(chosen) != 1 or chosen[0] not in known:
            given = " and ".join(repr(one[:40]) for one in chosen) or "none"
            near = nearest_names(chosen[0][:40], known) if chosen else f"; choose from {', '.join(known)}"
            msg = f"format must be the name of one format, got {given}{near}"
            raise ConfigError(msg)
        table_format = FORMATS[chosen[0]]
        query = parse_query([item for item in items if item[0] != "format"], TABLES[name])
        unused = [key for key, text in items if key in VIEW and text]
        if unused:
            msg = f"{unused[0]} is for pages; a download has all columns and all rows of the selection"
            raise ConfigError(msg)
        pipe = _Pipe(_content(site.reader, name, dataset.number, query.selection, format_name=table_format.name))
        pieces = pipe.pieces()
        first = next(pieces, b"")  # errors of the selection appear here, before the response begins
        ending = table_format.suffix.rpartition(".")[2]
        return StreamingResponse(
            chain([first], pieces),
            media_type=TYPES.get(table_format.name, "text/plain; charset=utf-8"),
            headers={"Content-Disposition": f'attachment; filename="dataset-{dataset.number}-{name}.{ending}"'},
        )

    return download


for _name in TABLES:
    router.add_api_route(f"/datasets/{{number}}/{_name}/download", _download(_name), response_model=None)
