"""A survey of made-up measurements, processed by association, forced fits and the database.

The defaults are taken from TraP's own database tests, so that their acceptance numbers can be used
unchanged.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import numpy as np
from sqlalchemy import text

from trap.association.noise_peaks import SearchedArea
from trap.catalogues import Measurements, MonitorPositions
from trap.config import PipelineConfig
from trap.dataset.records import ImageRecord, ImageResult, TimestepRecord
from trap.db.store import Store
from trap.images.beam import Beam
from trap.images.image import ImageMetadata
from trap.steps import association, forced_fitting, persistence, varmetric

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sqlalchemy import Engine

    from trap.calibration.records import ImageCalibration
    from trap.catalogues import FitRequests

PIXEL = 0.01111
START = datetime(2012, 1, 1, tzinfo=UTC)


def sources(
    ra: Any,
    dec: Any,
    *,
    flux: Any = 0.015,
    flux_err: Any = 5e-4,
    error_radius: float = 10.0,
    systematics: float = 20.0,
) -> Measurements:
    """Make measurements; ``error_radius`` [arcsec] is the error of the fit along both axes."""
    ra, dec = np.broadcast_arrays(np.atleast_1d(np.asarray(ra, float)), np.asarray(dec, float))
    return Measurements.of(
        x=0.0,
        y=0.0,
        ra=ra,
        dec=dec,
        ew_fit_err=error_radius / 3600,
        ns_fit_err=error_radius / 3600,
        ew_sys_err=systematics,
        ns_sys_err=systematics,
        f_peak=flux,
        f_peak_err=flux_err,
        f_int=flux,
        f_int_err=flux_err,
        rms=1e-3,
        significance=15.0,
        semimajor=100.0,
        semiminor=100.0,
        pa=45.0,
        chisq=5.0,
        reduced_chisq=1.5,
    )


NOTHING = Measurements.empty()
RADIUS_PIX = 900.0
SEARCHED = SearchedArea(n_pixels=2_500_000, n_beams=100_000, n_negative=1, threshold=5.0)


@dataclass
class Field:
    """One pointing of the made-up telescope; images of it are numbered by day."""

    centre: tuple[float, float] = (123.0, 10.0)
    radius: float = 10.0
    rms_min: float = 1e-4
    rms_max: float = 3e-4

    def image(
        self, day: float, found: Measurements = NOTHING, *, freq: float = 140e6, stokes: int = 1, **changes: Any
    ) -> ImageResult:
        """Make the measured image of one day."""
        metadata = ImageMetadata(
            url=f"day{day}-{freq}",
            taustart_ts=START + timedelta(days=day),
            tau_time=300.0,
            freq_eff=freq,
            freq_bw=2e6,
            stokes=stokes,
            telescope="",
            beam=Beam(bmaj=2 * 2.7 * PIXEL, bmin=2 * 2.3 * PIXEL, bpa=np.degrees(1.7)),
            centre_ra=self.centre[0],
            centre_dec=self.centre[1],
            # The radius of the region is the extraction radius, in pixels along x.
            deltax=-self.radius / RADIUS_PIX,
            deltay=self.radius / RADIUS_PIX,
            nx=2048,
            ny=2048,
            unit="Jy/beam",
        )
        result = ImageResult(
            metadata=metadata,
            content_hash=f"{day}-{freq}-{self.centre}-{stokes}",
            rms_qc=1.0,
            rejection=None,
            measurements=found,
            background=None,
            rms_min=self.rms_min,
            rms_max=self.rms_max,
            searched=SEARCHED,
        )
        return replace(result, **changes)


@dataclass
class Dataset:
    """A dataset in a database, and the numbers of its forced-fit requests."""

    engine: Engine
    config: PipelineConfig
    id: int
    state: Any
    requests: list[int] = field(default_factory=list)

    @property
    def store(self) -> Store:
        """Return the handle of the dataset, as a run uses it."""
        return Store(self.engine, self.id)

    def process(
        self,
        *images: ImageResult,
        forced: Callable[[FitRequests], Measurements] | None = None,
        calibration: ImageCalibration | None = None,
    ) -> tuple[ImageRecord, ...]:
        """Process the images of one time in all stages after the blind search.

        ``forced`` makes the forced fits; by default each reads zero. With a ``calibration`` of the images, all
        measurements are corrected already.
        """
        images = tuple(self._as_searched(image) for image in images)
        measure = forced or (lambda positions: sources(positions.ra, positions.dec, flux=0.0))
        records = association.associate_extracted_sources(self.state, images)
        requests = [forced_fitting.get_forced_fit_requests(image, self.state) for image in records]
        self.requests += [len(of_image) for of_image in requests]
        fits = [measure(r).with_columns(extract_type=r.kind) if len(r) else NOTHING for r in requests]
        records = forced_fitting.insert_and_associate_forced_fits(self.state, records, requests, fits)
        if calibration is not None:
            records = tuple(replace(one, result=replace(one.result, calibration=calibration)) for one in records)
        record = TimestepRecord(
            taustart_ts=images[0].metadata.taustart_ts,
            images=records,
            unreadable=(),
            changes=self.state.catalogue.changes,
            links=self.state.region_links(records),
            metrics=varmetric.summarise_touched(self.state, records),
        )
        self.state.commit(record, self.store.store_timestep(record, self.state))
        return records

    def _as_searched(self, image: ImageResult) -> ImageResult:
        """Give the searched area of an image the threshold of the settings, and the cells of its mesh."""
        cell = (0, 0) if image.background is None else image.background.cell
        threshold = self.config.source_extraction.detection_threshold
        area = replace(image.searched, threshold=threshold, cell_pixels=cell[0] * cell[1])
        return replace(image, searched=area)

    def reload(self) -> None:
        """Replace the state in memory by the stored one, as a new run does."""
        self.state = self.store.load_state(self.config)

    def rows(self, statement: str) -> list[dict[str, Any]]:
        """Query the database, in SQL of both kinds; ``:dataset`` is this dataset."""
        with self.engine.connect() as connection:
            return [dict(row) for row in connection.execute(text(statement), {"dataset": self.id}).mappings()]

    def column(self, statement: str) -> list[Any]:
        """Query one column."""
        return [next(iter(row.values())) for row in self.rows(statement)]

    def entries(self) -> list[dict[str, Any]]:
        """List the running catalogue, from west to east and south to north."""
        return self.rows("SELECT * FROM runningcatalog WHERE dataset = :dataset ORDER BY wm_ra, wm_decl")

    def light_curve(self, entry: int) -> list[dict[str, Any]]:
        """List the points of an entry's light curve in order of time and frequency."""
        return self.rows(
            "SELECT a.*, e.f_int, e.extract_type, i.taustart_ts FROM assocxtrsource a"
            " JOIN extractedsource e ON a.xtrsrc = e.id JOIN image i ON e.image = i.id"
            f" WHERE a.runcat = {entry} ORDER BY i.taustart_ts, i.freq_eff"
        )

    def types(self) -> list[list[int]]:
        """List the association types of each light curve, in the order of :meth:`entries`."""
        return [[point["type"] for point in self.light_curve(entry["id"])] for entry in self.entries()]


def dataset_maker(engine: Engine) -> Callable[..., Dataset]:
    """Make empty datasets with TraP's test settings, changed section by section."""

    def make(monitors: Sequence[tuple[float, float]] = (), **sections: dict[str, Any]) -> Dataset:
        defaults = {
            # Without pixels, no group can be fitted.
            "association": {"deruiter_radius": 3.717, "beamwidths_limit": 1.0, "joint_beams": 0.0},
            "source_extraction": {
                "detection_threshold": 6.0,
                "analysis_threshold": 3.0,
                "extraction_radius_pix": RADIUS_PIX,
            },
            "transient_search": {"new_source_test": "image", "new_source_sigma_margin": 3.0},
        }
        for section, options in sections.items():
            defaults[section] = {**defaults.get(section, {}), **options}
        config = PipelineConfig().with_options(**defaults)
        positions = MonitorPositions.of(
            ra=np.array([ra for ra, _ in monitors], float), dec=np.array([dec for _, dec in monitors], float), name=""
        )
        dataset_id = persistence.create_dataset(engine, config, positions)
        return Dataset(engine, config, dataset_id, Store(engine, dataset_id).load_state(config))

    return make
