"""State of a dataset, loaded from the database at the start of a run.

The loaded state equals, to the last bit, the state in memory when the latest timestep was stored. An interrupted run
therefore continues as if it had not been interrupted.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import exists, select

from trap.association.entries import ENTRY, ENTRY_COLUMNS, NOT_PART, LightCurveKey
from trap.association.noise_history import NoiseTiles
from trap.catalogues import MonitorPositions
from trap.dataset.earlier_images import EarlierImages
from trap.dataset.state import DatasetState, EarlierImage
from trap.db.bulk import read_columns
from trap.db.calibrations import CALIBRATION_COLUMNS, load_calibration, stored_calibration
from trap.db.datasets import find_dataset
from trap.db.images import load_background
from trap.db.measurements import load_found_sources
from trap.db.metrics import flux_statistics
from trap.db.models import (
    Calibration,
    FrequencyBand,
    Image,
    Monitor,
    Rejection,
    RmsMap,
    RunningCatalog,
    SkyRegion,
    Timestep,
)
from trap.db.models.base import stored_names
from trap.db.searched_areas import AREA_COLUMNS, stored_area, stored_peaks
from trap.db.shared_errors import load_shared_errors
from trap.db.timesteps import latest_timestep
from trap.errors import DatabaseError
from trap.images.bands import Band
from trap.images.beam import Beam
from trap.images.skyregion import SkyRegion as Region
from trap.quality import HistoryKey

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection, Row

    from trap.config import PipelineConfig

__all__ = ["accepted_images", "load_earlier_image", "load_state"]

NAMES_OF_ENTRY = {"id": "id", "blend": "blend", **stored_names(RunningCatalog, ENTRY_COLUMNS)}


def load_state(connection: Connection, dataset_id: int, config: PipelineConfig) -> DatasetState:
    """Load the state of a dataset.

    Entries are in order of their row numbers, which is the order of their creation.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    config
        All settings.

    Raises
    ------
    DatasetNotFoundError
        If the dataset does not exist.
    """
    find_dataset(connection, dataset_id)
    state = DatasetState(config=config)
    _load_bands(connection, dataset_id, state)
    _load_regions(connection, dataset_id, state)
    _load_entries(connection, dataset_id, state)
    _load_fluxes(connection, dataset_id, state)
    _load_accepted_images(connection, dataset_id, state)
    _load_earlier_images(connection, dataset_id, state)
    _load_monitors(connection, dataset_id, state)
    state.use_shared_errors(load_shared_errors(connection, dataset_id))
    state.latest = latest_timestep(connection, dataset_id)
    state.catalogue.begin_timestep()
    return state


def _load_bands(connection: Connection, dataset_id: int, state: DatasetState) -> None:
    band = FrequencyBand
    rows = select(band.id, band.freq_central, band.freq_low, band.freq_high).where(band.dataset == dataset_id)
    for number, central, low, high in connection.execute(rows.order_by(band.id)):
        state.bands.append(Band(freq_central=central, freq_low=low, freq_high=high))
        state.band_ids.append(number)


def _load_regions(connection: Connection, dataset_id: int, state: DatasetState) -> None:
    region = SkyRegion
    rows = select(region.id, region.centre_ra, region.centre_decl, region.xtr_radius)
    for number, ra, dec, radius in connection.execute(rows.where(region.dataset == dataset_id).order_by(region.id)):
        state.regions.append(Region(centre_ra=ra, centre_dec=dec, xtr_radius=radius))
        state.region_ids.append(number)


def _load_entries(connection: Connection, dataset_id: int, state: DatasetState) -> None:
    """Load the running catalogue. Forked entries are not in the database, so that all loaded entries are active."""
    table = RunningCatalog.__table__
    selected = [table.c[NAMES_OF_ENTRY[name]] for name in ENTRY.names or () if name != "active"]
    stored = select(*selected).where(table.c.dataset == dataset_id).order_by(table.c.id)
    columns = read_columns(connection, stored)
    entries = _structured({name: columns[name] for name in columns if name != "blend"}, ENTRY, NAMES_OF_ENTRY)
    entries["active"] = True
    # In the database a blend is named by its row number, in memory by its catalogue row.
    blends = np.array([NOT_PART if number is None else number for number in columns["blend"].tolist()], np.int64)
    rows = np.searchsorted(entries["id"], blends)
    # Earlier versions left the parts of a forked blend with the forked entry, which is not loaded.
    entries["blend"] = np.where(np.isin(blends, entries["id"]), rows, NOT_PART)
    state.catalogue.extend(entries)


def _load_fluxes(connection: Connection, dataset_id: int, state: DatasetState) -> None:
    """Load the flux statistics of all bands and Stokes parameters."""
    columns, statistics = flux_statistics(connection, dataset_id)
    entries = np.searchsorted(state.catalogue.entries["id"], columns["runcat"])
    for number, band in enumerate(state.band_ids):
        for stokes in np.unique(columns["stokes"][columns["band"] == band]).tolist():
            is_in_curve = (columns["band"] == band) & (columns["stokes"] == stokes)
            state.catalogue.load_fluxes(LightCurveKey(number, stokes), entries[is_in_curve], statistics[is_in_curve])


def _structured(columns: Mapping[str, NDArray[Any]], dtype: np.dtype[Any], renamed: Mapping[str, str]) -> NDArray[Any]:
    """Convert columns to a structured array; fields that are not among the columns are zero."""
    records = np.zeros(len(next(iter(columns.values()))), dtype)
    for name in dtype.names or ():
        stored = renamed.get(name, name)
        if stored in columns:
            records[name] = columns[stored]
    return records


def _load_accepted_images(connection: Connection, dataset_id: int, state: DatasetState) -> None:
    """Add all accepted images to the noise history, to the earlier looks and to the calibrations."""
    rows = (
        select(
            *(Image.id, Image.band, Image.stokes, Image.skyrgn, Image.rms_qc, Image.rms_min, Image.rms_max),
            *(Image.telescope, Image.rb_smaj, Image.rb_smin, Image.pixel_hash, Image.url, Image.taustart_ts),
            *(RmsMap.tile_order, RmsMap.tiles, RmsMap.tile_rms, *CALIBRATION_COLUMNS, *AREA_COLUMNS),
        )
        .outerjoin(RmsMap, RmsMap.image == Image.id)
        .outerjoin(Calibration, Calibration.image == Image.id)
        .where(Image.dataset == dataset_id, ~Image.late, ~exists().where(Rejection.image == Image.id))
        .order_by(Image.taustart_ts, Image.id)
    )
    band_numbers = {number: i for i, number in enumerate(state.band_ids)}
    region_numbers = {number: i for i, number in enumerate(state.region_ids)}
    # Read in batches, since the tiles of all images together may exceed the memory.
    for row in connection.execute(rows.execution_options(yield_per=100)):
        key = LightCurveKey(band_numbers[row.band], row.stokes)
        state.accepted_bands.add(key.band)
        state.accepted_regions.add(region_numbers[row.skyrgn])
        state.accepted.remember(
            HistoryKey(key.band, row.stokes, row.telescope or ""),
            rms=row.rms_qc,
            # As in TraP, the columns are semi-axes.
            beam=Beam(bmaj=2 * row.rb_smaj, bmin=2 * row.rb_smin, bpa=0.0) if row.rb_smaj else None,
            pixel_hash=row.pixel_hash or "",
            url=row.url,
            start=row.taustart_ts,
        )
        state.remember_look(
            key,
            image=row.id,
            region=region_numbers[row.skyrgn],
            rms_range=(_or_nan(row.rms_min), _or_nan(row.rms_max)),
            tiles=_tiles(row),
            calibration=stored_calibration(row),
            searched=stored_area(row),
            negative=stored_peaks(row),
        )


class _Listed(NamedTuple):
    """An image as the choice of images to be kept needs it, and its row."""

    key: LightCurveKey
    region: int
    noise: float
    row: Row[Any]


def _load_earlier_images(connection: Connection, dataset_id: int, state: DatasetState) -> None:
    """Load the images of each band that new sources are fitted in: those that a run from the start would have kept."""
    rejected = set(connection.execute(select(Rejection.image).join(Image).where(Image.dataset == dataset_id)).scalars())
    kept = EarlierImages[_Listed](state.config.transient_search.backward_fits)
    for row in accepted_images(connection, dataset_id):
        if row.id not in rejected:
            key = LightCurveKey(state.band_ids.index(row.band), row.stokes)
            kept.add(_Listed(key, state.region_ids.index(row.skyrgn), _or_nan(row.rms_qc), row))
    # In order of time again, so that later images replace the same ones.
    for listed in sorted(kept, key=lambda one: (one.row.timestep, one.row.id)):
        state.remember_image(load_earlier_image(connection, listed.row, state))


def accepted_images(connection: Connection, dataset_id: int) -> Sequence[Row[Any]]:
    """List the images in light curves, in order of their addition, without source lists that have no image.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.

    Returns
    -------
    Rows for :func:`load_earlier_image`, also with ``timestep``, the start of the timestep.
    """
    rows = (
        select(Image.id, Image.url, Image.taustart_ts, Image.band, Image.stokes, Image.skyrgn)
        .add_columns(Image.rms_qc, Timestep.taustart_ts.label("timestep"))
        .join(RmsMap, RmsMap.image == Image.id)
        .join(Timestep, Timestep.id == Image.timestep)
        # A source list without an image has no pixels to be fitted.
        .where(Image.dataset == dataset_id, ~Image.late, RmsMap.nx > 0)
    )
    return connection.execute(rows.order_by(Timestep.taustart_ts, Image.id)).all()


def load_earlier_image(connection: Connection, row: Row[Any], state: DatasetState) -> EarlierImage:
    """Load the mesh, the calibration and the blind measurements of an image that was searched.

    Parameters
    ----------
    connection
        Open connection; the caller owns the transaction.
    row
        ``id``, ``url``, ``taustart_ts``, ``band``, ``stokes``, ``skyrgn`` and ``rms_qc`` of an image with a mesh.
    state
        State of the dataset, with its bands and regions.

    Raises
    ------
    DatabaseError
        If the mesh is missing.
    """
    background = load_background(connection, row.id)
    if background is None:
        msg = f"image {row.id} has no mesh of background and noise in the database"
        raise DatabaseError(msg)
    calibration = load_calibration(connection, row.id)
    return EarlierImage(
        id=row.id,
        url=row.url,
        taustart_ts=row.taustart_ts,
        key=LightCurveKey(state.band_ids.index(row.band), row.stokes),
        region=state.region_ids.index(row.skyrgn),
        background=background,
        sources=calibration.as_in_image(load_found_sources(connection, row.id)),
        calibration=calibration,
        noise=_or_nan(row.rms_qc),
    )


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _tiles(row: Row[Any]) -> NoiseTiles | None:
    """Return the noise tiles of an image; None if none are stored."""
    if row.tile_order is None:
        return None
    return NoiseTiles.from_codes(
        row.tile_order,
        np.frombuffer(row.tiles, "<i8").astype(np.int64),
        np.frombuffer(row.tile_rms, "<f4").astype(np.float32),
    )


def _load_monitors(connection: Connection, dataset_id: int, state: DatasetState) -> None:
    """Load the monitored positions and their entries."""
    positions = select(Monitor.id, Monitor.ra, Monitor.decl, Monitor.name, Monitor.runcat)
    columns = read_columns(connection, positions.where(Monitor.dataset == dataset_id).order_by(Monitor.id))
    state.monitors = MonitorPositions(
        id=columns["id"], ra=columns["ra"], dec=columns["decl"], name=columns["name"].astype("U100")
    )
    rows = {number: row for row, number in enumerate(state.catalogue.entries["id"].tolist())}
    state.monitor_entries = np.array([rows.get(number, -1) for number in columns["runcat"].tolist()], np.int64)
