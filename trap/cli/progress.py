"""A progress bar on long work, where somebody is looking."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["progress_bar"]


@contextmanager
def progress_bar(what: str) -> Iterator[Callable[..., None] | None]:
    """Show a bar on standard error while the block runs; nothing where that is not a terminal.

    Whatever is written to standard error meanwhile appears above the bar.

    Parameters
    ----------
    what
        Name of the things that are counted.

    Returns
    -------
    A function to be called with the number done, the number in all, and what they are where they are something
    else; None without a terminal.
    """
    if not sys.stderr.isatty():
        yield None
        return
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=None)

        def advance(done: int, total: int, counted: str = what) -> None:
            bar.update(task, completed=done, total=total, description=counted)

        yield advance
