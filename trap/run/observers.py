"""Observers of the timesteps of a run: the log, and counters for Prometheus."""

from __future__ import annotations

import math
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, start_http_server

from trap.config import stokes_letter
from trap.dataset.dropped import sum_dropped
from trap.report.noise import grade_text
from trap.report.run_summary import same_field_text

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from trap.dataset.outcomes import TimestepOutcome
    from trap.dataset.records import ImageRecord
    from trap.db.store import Store
    from trap.run.planning import Timestep

    Observer = Callable[[TimestepOutcome], None]

__all__ = ["FieldNotice", "Meters", "log_outcome", "serving_meters"]

log = structlog.get_logger(__name__)

SECONDS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0)
"""Bucket limits [s] of the histogram of the durations of timesteps."""


def log_outcome(outcome: TimestepOutcome) -> None:
    """Log the outcome of a timestep, the images that were left out, and the new sources."""
    if outcome.failure is not None:
        return  # logged where it failed, with its traceback
    for url, reason in outcome.left_out:
        log.warning("image_left_out", image=url, reason=reason)
    accepted = [image for image in outcome.images if image.result.rejection is None]
    for image in accepted:
        measured = image.measurements
        new = image.new_sources
        for row, newness, peaks, grade in zip(new.measurement, new.newness, new.noise_peaks, new.grade, strict=True):
            log.info(
                "new_source_candidate",
                grade=grade_text(grade),
                noise_peaks=float(f"{peaks:.2g}"),
                newness=round(float(newness), 1),
                significance=round(float(measured.significance[row]), 1),
                image=image.result.metadata.url,
                ra=round(float(measured.ra[row]), 5),
                dec=round(float(measured.dec[row]), 5),
                stokes=stokes_letter(image.key.stokes),
                f_int=float(f"{measured.f_int[row]:.4g}"),
            )
    log.info(
        "timestep_stored",
        images=len(outcome.images),
        accepted=len(accepted),
        blind=sum(image.n_blind - image.n_dropped for image in accepted),
        forced=outcome.n_fitted,
        new=sum(len(image.new_sources) for image in accepted),
        **{name: n for name, n in sum_dropped(image.dropped for image in accepted).items() if n},
        **_applied(accepted),
        seconds=round(outcome.seconds, 3),
    )


def _applied(accepted: Iterable[ImageRecord]) -> dict[str, str]:
    """Return the applied gains, and the applied mean shifts in arcsec, as ranges over the images of a timestep."""
    calibrations = [image.result.calibration for image in accepted]
    gains = [one.flux_scale.gain for one in calibrations if one.flux_scale.is_applied]
    shifts = [math.hypot(one.astrometry.shift_ew, one.astrometry.shift_ns)
              for one in calibrations if one.astrometry.is_applied]  # fmt: skip
    applied = (("gain", gains, ".3f"), ("shift", shifts, ".2g"))
    texts = {name: sorted({f"{value:{digits}}" for value in values}, key=float) for name, values, digits in applied}
    return {name: values[0] if len(values) == 1 else f"{values[0]} to {values[-1]}" for name, values in texts.items()
            if values}  # fmt: skip


class Meters:
    """Counters of one run, in the units of Prometheus: totals, seconds, and current values.

    Prometheus computes rates itself: ``rate(trap_images_total[1m])`` is images per second.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._images = Counter(
            "trap_images",
            "Images by status: accepted, rejected, unreadable or duplicate.",
            ["status"],
            registry=self.registry,
        )
        self._timesteps = Counter(
            "trap_timesteps", "Timesteps by status: stored or failed.", ["status"], registry=self.registry
        )
        self._candidates = Counter("trap_new_source_candidates", "New-source candidates.", registry=self.registry)
        self._stages = Counter(
            "trap_stage_seconds",
            "Computing time of the stages of measuring: read, quality and extraction.",
            ["stage"],
            registry=self.registry,
        )
        self._seconds = Histogram(
            "trap_timestep_seconds", "Wall time of a timestep, without measuring ahead.", buckets=SECONDS,
            registry=self.registry,
        )  # fmt: skip
        self._lag = Gauge(
            "trap_lag_seconds", "Time of the newest image minus the time of the latest processed timestep.",
            registry=self.registry,
        )  # fmt: skip
        self._latency = Gauge(
            "trap_latency_seconds", "Time from the arrival of its last image until the latest timestep was stored.",
            registry=self.registry,
        )  # fmt: skip
        self._queue = Gauge(
            "trap_queue_images", "Images that wait for their timestep to be processed.", registry=self.registry
        )
        self._waiting: dict[datetime, int] = {}
        self._newest: datetime | None = None

    def expect(self, timesteps: Iterable[Timestep]) -> None:
        """Count timesteps that are planned, in order of time."""
        for timestep in timesteps:
            self._waiting[timestep.taustart_ts] = len(timestep.urls)
            self._queue.inc(len(timestep.urls))
            self._newest = timestep.taustart_ts

    def set_latency(self, seconds: float) -> None:
        """Set the time [s] from the arrival of its last image until a timestep of a live run was stored."""
        self._latency.set(seconds)

    def observe(self, outcome: TimestepOutcome) -> None:
        """Count a timestep and its images."""
        self._timesteps.labels("stored" if outcome.failure is None else "failed").inc()
        self._seconds.observe(outcome.seconds)
        self._images.labels("unreadable").inc(len(outcome.unreadable))
        self._images.labels("duplicate").inc(len(outcome.duplicates))
        for image in outcome.images:
            self._images.labels("rejected" if image.result.rejection else "accepted").inc()
            self._candidates.inc(len(image.new_sources))
            for stage, seconds in image.result.seconds.items():
                self._stages.labels(stage).inc(seconds)
        self._queue.dec(self._waiting.pop(outcome.taustart_ts, 0))
        if self._newest is not None:
            self._lag.set((self._newest - outcome.taustart_ts).total_seconds())


class FieldNotice:
    """A log event for a new dataset whose field, bands and settings other datasets hold too.

    The datasets are compared after the first stored timestep, early enough to stop the run and extend another dataset.

    Parameters
    ----------
    store
        The dataset in the database.
    is_wanted
        Whether the datasets are compared: not if the user asked for a dataset of its own.

    Attributes
    ----------
    datasets
        Numbers and names of the other datasets, oldest first.
    """

    def __init__(self, store: Store, *, is_wanted: bool) -> None:
        self._store = store
        self._is_pending = is_wanted
        self.datasets: tuple[tuple[int, str], ...] = ()

    def observe(self, outcome: TimestepOutcome) -> None:
        """Compare the datasets after the first timestep with a stored image."""
        if not self._is_pending or not outcome.images:
            return
        self._is_pending = False
        self.datasets = tuple(self._store.same_field())
        if self.datasets:
            others = same_field_text(self._store.dataset_id, self.datasets)
            log.warning("field_in_other_dataset", advice=others)


@contextmanager
def serving_meters(address: str) -> Iterator[Meters]:
    """Serve the counters of a run to Prometheus while the block runs.

    Parameters
    ----------
    address
        ``host:port``; empty serves nothing. If the port is in use, a warning is logged and the counters are not served.

    Yields
    ------
    The counters.
    """
    meters = Meters()
    with ExitStack() as stack:
        if address:
            host, _, port = address.rpartition(":")
            try:
                server, thread = start_http_server(int(port), host, registry=meters.registry)
            except (OSError, ValueError) as error:
                reason = getattr(error, "strerror", None) or str(error)
                log.warning("metrics_not_served", address=address, reason=reason)
            else:
                stack.callback(thread.join)
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
                log.info("metrics_served", url=f"http://{host}:{server.server_port}/metrics")
        yield meters
