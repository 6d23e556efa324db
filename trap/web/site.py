"""The values that all pages of a site share: its database, and the permissions of its visitors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Path, Request

from trap.db.datasets import find_dataset
from trap.db.reader import Reader
from trap.results import Dataset

__all__ = ["CurrentDataset", "CurrentSite", "Editing", "RowNumber", "SameOrigin", "Site"]


FLOW_RUN = "/runs/flow-run/"
"""Path of the page of a run, below the address of a Prefect server."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """A database on show.

    Attributes
    ----------
    url
        URL of the database, without its password.
    reader
        Reads of the database, each in a connection of its own.
    edits
        Whether visitors may rate candidates and keep measurements.
    token
        Secret that visitors must give; None lets everybody in.
    prefect_ui
        Address of the pages of the Prefect server, without a slash at its end; empty if unknown.
    hosts
        Names of this machine that addresses may have; empty allows any.
    """

    url: str
    reader: Reader
    edits: bool = False
    token: str | None = None
    prefect_ui: str = ""
    hosts: tuple[str, ...] = ()

    @property
    def database(self) -> str:
        """The database as a text to show."""
        return str(self.reader)

    def run_page(self, page: str | None) -> str:
        """Return the address of the page of a run in Prefect, on the server that is known now.

        Parameters
        ----------
        page
            Address that the run has recorded; None without one.

        Returns
        -------
        Address for a link; empty if there is none, or if it is no address of the web.
        """
        recorded = page or ""
        place = recorded.find(FLOW_RUN)
        address = f"{self.prefect_ui}{recorded[place:]}" if self.prefect_ui and place >= 0 else recorded
        return address if urlsplit(address).scheme in ("http", "https") else ""

    def dataset(self, number: int) -> Dataset:
        """Return the results of a dataset.

        Raises
        ------
        DatasetNotFoundError
            If the database has no such dataset.
        """
        with self.reader.read() as connection:
            find_dataset(connection, number)
        return Dataset(self.reader, number)


def _site(request: Request) -> Site:
    site: Site = request.app.state.site
    return site


CurrentSite = Annotated[Site, Depends(_site)]
"""The site, as an argument of a page."""


RowNumber = Annotated[int, Path(ge=0, le=2**31 - 1)]
"""The number of a row of the database, as a part of an address."""


def _dataset(site: CurrentSite, number: RowNumber) -> Dataset:
    return site.dataset(number)


CurrentDataset = Annotated[Dataset, Depends(_dataset)]
"""The dataset whose ``number`` is in the address, as an argument of a page."""


def _same_origin(request: Request) -> None:
    """Refuse a request that a page of another site makes. Programs that are no browsers send no origin."""
    origin = request.headers.get("origin")
    # An origin is a scheme and a host: "null" and others without two slashes are foreign.
    foreign = origin is not None and origin.partition("://")[2] != request.headers.get("host", "")
    if foreign or request.headers.get("sec-fetch-site", "none") not in ("same-origin", "none"):
        raise HTTPException(403, "this form was sent by a page of another site")


SameOrigin = Depends(_same_origin)
"""Dependency of every request that starts or changes something."""


def _editing(site: CurrentSite, request: Request) -> None:
    _same_origin(request)
    if not site.edits:
        raise HTTPException(403, "these pages are read-only; start them with: transients serve --allow-edit")


Editing = Depends(_editing)
"""Dependency of every request that writes into the database."""
