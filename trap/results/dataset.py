"""A dataset of results, as notebooks use it: a summary at a glance, its tables, light curves, images and figures."""

from __future__ import annotations

import html
from typing import TYPE_CHECKING

from trap.db.overview import dataset_summary, frequency_bands, time_range
from trap.errors import TrapError
from trap.escapes import plain_text
from trap.report.text import count, megahertz, moment
from trap.results.access import choose_dataset, open_reader
from trap.results.drawing import Drawing
from trap.results.photometry import Photometry
from trap.results.ratings import RatingTables

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Dataset", "open_dataset"]


class Dataset(Drawing, Photometry, RatingTables):
    """A dataset in a database of results, opened by :func:`open_dataset`. It is read-only.

    Tables: :meth:`sources`, :meth:`transients`, :meth:`variables`, :meth:`measurements`, :meth:`light_curves`,
    :meth:`images`, :meth:`coverage`, :meth:`calibration`, and the :attr:`settings`. What people think of the
    candidates: :meth:`ratings`, :meth:`rating_agreement`, :meth:`rating_consensus`. Of one source:
    :meth:`light_curve`, :meth:`upper_limits`, :meth:`cutout`, :meth:`cutouts`. Of any position: :meth:`photometry`,
    :meth:`kept_photometry`. Figures: :meth:`plot_light_curve`,
    :meth:`plot_eta_v`, :meth:`plot_cutouts`. Every call reads the newest state of the database.
    """

    def summary(self) -> dict[str, str]:
        """Return the name, the state, the numbers of images, sources and candidates, the times and the bands, as text.

        Examples
        --------
        >>> dataset.summary()["bands"]  # doctest: +SKIP
        '1280, 1480 MHz'
        """
        with self._read() as connection:
            facts = dataset_summary(connection, self.number)
            bands = frequency_bands(connection, self.number)
            first, last = time_range(connection, self.number)
        rejected = facts["n_rejected"] + facts["n_unreadable"]
        times = f"{moment(first)} to {moment(last)} UTC" if first is not None else "no image yet"
        return {
            "name": plain_text(facts["description"]),
            "state": facts["state"],
            "images": f"{facts['n_images']}" + (f", {rejected} left out" if rejected else ""),
            "times": f"{times}, {count(facts['n_timesteps'], 'timestep')}",
            "bands": ", ".join(map(megahertz, bands["freq_central"])) + " MHz" if len(bands["id"]) else "none",
            "sources": f"{facts['n_entries']}",
            "candidates": f"{facts['n_newsources']}, {facts['n_likely']} likely",
            "measurements": f"{facts['n_blind']} blind, {facts['n_forced']} forced",
        }

    def __repr__(self) -> str:
        title, facts = self._shown()
        return "\n".join([f"<{title}>", *(f"  {name + ':':<14}{value}" for name, value in facts.items())])

    def _repr_html_(self) -> str:
        title, facts = self._shown()
        rows = "".join(
            f"<tr><th style='text-align: left'>{html.escape(name)}</th>"
            f"<td style='text-align: left'>{html.escape(value)}</td></tr>"
            for name, value in facts.items()
        )
        return f"<div><b>{html.escape(title)}</b><table>{rows}</table></div>"

    def _shown(self) -> tuple[str, dict[str, str]]:
        """Return the title and the facts that a notebook shows. A database that has gone is a fact, not an error."""
        title = f"Dataset {self.number} of {plain_text(self.database)}"
        try:
            return title, self.summary()
        except TrapError as error:
            return title, {"problem": plain_text(error)}


def open_dataset(database: str | Path, dataset: int | str | None = None) -> Dataset:
    """Open a dataset for reading in Python.

    No connection stays open between calls, so that the dataset need not be closed, and a run can go on writing it.
    It can be used by several threads, and in a ``with`` statement.

    Parameters
    ----------
    database
        ``"sqlite:///trap.db"``, the path of such a file, or ``"postgresql://user@host/name"``; keep a password in
        ``~/.pgpass`` or ``PGPASSWORD``.
    dataset
        Number or name of the dataset; None opens the only one of the database.

    Raises
    ------
    DatabaseError
        If the database does not exist, or cannot be reached.
    SchemaVersionError
        If its tables have another version than this software; the message has the remedy.
    DatasetNotFoundError
        If it has no such dataset, or several; the message lists the datasets.

    Examples
    --------
    >>> from trap.results import open_dataset
    >>> dataset = open_dataset("trap.db", 1)  # doctest: +SKIP
    >>> curve = dataset.light_curve(173.1367, 27.6989)  # doctest: +SKIP
    """
    reader = open_reader(database)
    with reader.read() as connection:
        return Dataset(reader, choose_dataset(connection, dataset))
