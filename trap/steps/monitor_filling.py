"""Monitored positions that are added to an existing dataset: measured in all of its earlier images.

The positions and their measurements are stored in one transaction, as if the positions had been there from the start.
An interrupted run therefore leaves nothing of them behind, and the same command adds them again.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import TYPE_CHECKING

import numpy as np
import structlog

from trap.calibration.history import CalibrationHistory
from trap.catalogues import Associations, ExtractType, FitRequests, RegionLinks, VarMetrics
from trap.dataset.outcomes import MonitorFilling
from trap.dataset.records import BackwardFits, TimestepRecord
from trap.dataset.state import EarlierImage, as_utc64
from trap.errors import ImageError
from trap.images.image import read_image
from trap.steps.backward_fitting import perform_backward_fits
from trap.steps.forced_fitting import associate_monitored, with_reasons
from trap.steps.varmetric import summarise_touched

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.catalogues import Measurements, MonitorPositions
    from trap.config import PipelineConfig
    from trap.dataset.state import DatasetState
    from trap.db.store import Store
    from trap.typing import Progress

__all__ = ["fill_monitors", "log_unmeasured_monitors", "unmeasured_monitors"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class _Filled:
    """Fits at added positions in one earlier image, with the start of its timestep."""

    timestep: datetime
    fits: BackwardFits


def fill_monitors(
    store: Store, config: PipelineConfig, positions: MonitorPositions | None, progress: Progress | None = None
) -> MonitorFilling | None:
    """Add monitored positions to a dataset, and measure them in the images that it holds.

    Positions that the dataset has already are skipped. Late images are left out, since they are in no light curve.

    Parameters
    ----------
    store
        The dataset; the caller holds its writer lock.
    config
        All settings.
    positions
        Positions and names; None for no positions.
    progress
        Called with the number of images done, the number of all, and ``"earlier images"``.

    Returns
    -------
    The numbers of positions and images; None if the dataset has all positions.
    """
    new = None if positions is None else store.missing_monitors(positions)
    if new is None or not len(new):
        return None
    state = store.load_state(config)
    state.monitors, state.monitor_entries = new, np.full(len(new), -1)
    rows = store.accepted_images()
    filled: list[_Filled] = []
    unreadable: list[str] = []
    # The displacements that were known at the time, as if the positions had been measured then.
    known, waiting = CalibrationHistory(), list[EarlierImage]()
    for done, row in enumerate(rows, start=1):
        image = store.earlier_image(row, state)
        if waiting and rows[done - 2].timestep != row.timestep:
            for earlier in waiting:
                known.remember(earlier.key, earlier.calibration, earlier.region)
            waiting.clear()
        waiting.append(image)
        settings = (config.source_extraction, config.reading)
        try:
            requests = _requests(image, new, config)
            fits = perform_backward_fits(requests, image, *settings, known.mean_shift(image.region))
        except ImageError:
            fits = None
        if fits is None:
            unreadable.append(row.url)
        elif len(fits):
            filled.append(_Filled(row.timestep, _associate(state, len(filled), image, requests, fits)))
        if progress is not None:
            progress(done, len(rows), "earlier images")
    store.store_monitors(_record(state, filled), state)
    log.info("monitors_added", positions=len(new), images=len(rows), unreadable=len(unreadable))
    return MonitorFilling(n_positions=len(new), n_images=len(rows), unreadable=tuple(unreadable))


def unmeasured_monitors(store: Store, state: DatasetState) -> tuple[tuple[str, str], ...]:
    """Return the monitored positions that no image has measured: name or coordinates [deg], and the reason.

    Parameters
    ----------
    store, state
        The dataset, and its state.
    """
    unmeasured = state.monitors.take(state.monitor_entries < 0)
    if not len(unmeasured):
        return ()
    seen = store.seen_monitors(unmeasured.id)
    rows = zip(*(getattr(unmeasured, name).tolist() for name in ("id", "ra", "dec", "name")), strict=True)
    return tuple(
        (name or f"{ra:.4f} {dec:+.4f}", "outside the searched area" if number in seen else "outside all images")
        for number, ra, dec, name in rows
    )


def log_unmeasured_monitors(state: DatasetState) -> None:
    """Log the monitored positions that no image has measured, because none covers them in its searched area."""
    for number in np.flatnonzero(state.monitor_entries < 0):
        position = {name: values[number].item() for name, values in state.monitors.as_dict().items()}
        log.warning("monitored_position_never_measured", **position)


def _requests(image: EarlierImage, monitors: MonitorPositions, config: PipelineConfig) -> FitRequests:
    """List the positions on an image; as in a new image, those outside its searched area have no flux density."""
    covers = read_image(image.url, config.reading).metadata.sky_region(0).covers(monitors.ra, monitors.dec)
    watched = np.flatnonzero(covers)
    return FitRequests.of(
        ra=monitors.ra[watched], dec=monitors.dec[watched], kind=int(ExtractType.MONITORED), target=watched
    )


def _associate(
    state: DatasetState, number: int, image: EarlierImage, requests: FitRequests, fits: Measurements
) -> BackwardFits:
    """Add the fits in one image to the light curves of the positions."""
    rows = np.flatnonzero(fits.is_measured)
    points = associate_monitored(
        state, requests.target[rows], fits, rows, image=number, key=image.key, taustart=as_utc64(image.taustart_ts)
    )
    return BackwardFits(
        image=image.id,
        key=image.key,
        measurements=with_reasons(fits),
        associations=Associations.concatenate(points),
        targets=requests.target,
    )


def _record(state: DatasetState, filled: Sequence[_Filled]) -> TimestepRecord:
    """Collect the fits of all images as one record, with the changes of the catalogue."""
    return TimestepRecord(
        taustart_ts=state.latest or datetime.now(UTC),
        images=(),
        unreadable=(),
        changes=state.catalogue.changes,
        links=RegionLinks.empty(),
        metrics=_metrics(state, filled),
        backward=tuple(one.fits for one in filled),
    )


def _metrics(state: DatasetState, filled: Sequence[_Filled]) -> VarMetrics:
    """Summarise each new light curve at its latest time."""
    parts, done = [VarMetrics.empty()], np.empty(0, np.int64)
    for _, group in groupby(reversed(filled), key=lambda one: one.timestep):
        # Reversed again, since of equal flux densities the first band counts.
        metrics = summarise_touched(state, [one.fits for one in group][::-1])
        parts.append(metrics.take(~np.isin(metrics.entry, done)))
        done = np.union1d(done, metrics.entry)
    return VarMetrics.concatenate(parts)
