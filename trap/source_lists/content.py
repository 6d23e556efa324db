"""The content of a source list: read once, and recognised as text or as a table of another kind."""

from __future__ import annotations

import gzip
import hashlib
import io
import zlib
from typing import TYPE_CHECKING

from trap.errors import SourceListError
from trap.source_lists.binary import open_fits, open_parquet, open_votable
from trap.source_lists.json_rows import open_json
from trap.source_lists.text import open_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from trap.source_lists.tables import ListTable

__all__ = ["open_tables", "read_content"]

MAX_BYTES = 2 << 30
"""Largest size of a list, uncompressed: some three million rows of the widest text."""
HEAD = 1 << 16
GZIP = b"\x1f\x8b"


def read_content(path: Path) -> tuple[bytes, str]:
    """Read a file.

    Parameters
    ----------
    path
        The file, which gzip may have compressed.

    Returns
    -------
    content
        Its bytes, uncompressed.
    content_hash
        BLAKE2b (128 bits, hexadecimal) of the bytes in the file.

    Raises
    ------
    SourceListError
        If the file is empty, too large or damaged.
    OSError
        If it cannot be read.
    """
    size = path.stat().st_size
    if size > MAX_BYTES:
        raise SourceListError(f"the list has {size} bytes, more than the limit of {MAX_BYTES}")
    content = path.read_bytes()
    content_hash = hashlib.blake2b(content, digest_size=16).hexdigest()
    if content.startswith(GZIP):
        content = _uncompressed(content)
    if not content:
        raise SourceListError("the list is empty: it has 0 bytes, not even a heading")
    return content, content_hash


def open_tables(content: bytes) -> Iterator[ListTable]:
    """Open the tables of a list, one after the other.

    Parameters
    ----------
    content
        Bytes of the file.

    Raises
    ------
    SourceListError
        If the content is damaged, or of no known kind.
    """
    head = content[:HEAD].lstrip(b"\xef\xbb\xbf \r\n\t")
    if content.startswith(b"SIMPLE"):
        yield from open_fits(content)
    elif content.startswith(b"PAR1"):
        yield open_parquet(content)
    elif head.startswith(b"<") and b"<VOTABLE" in head.upper():
        yield from open_votable(content)
    elif head.startswith((b"[", b"{")):
        yield open_json(content)
    elif head.startswith(b"<"):
        raise SourceListError("an XML or HTML file that is no VOTable")
    else:
        yield open_text(content)


def _uncompressed(content: bytes) -> bytes:
    """Uncompress a file of gzip, up to the largest size."""
    try:
        with gzip.open(io.BytesIO(content)) as file:
            found = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise SourceListError(f"the compressed file is damaged: {error}") from error
    if len(found) > MAX_BYTES:
        raise SourceListError(f"the uncompressed list has more than the limit of {MAX_BYTES} bytes")
    return found
