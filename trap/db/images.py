"""Images in the database, with their bands, sky regions, noise and rejections."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from sqlalchemy import delete, insert, select

from trap import angles
from trap.db.bulk import insert_columns, is_among, reserve_ids
from trap.db.calibrations import insert_calibrations
from trap.db.models import FrequencyBand, Image, Rejection, RejectReason, RmsMap, SkyRegion, UnreadableImage
from trap.db.searched_areas import area_row, peak_row
from trap.extraction.mesh import Background

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from sqlalchemy import Connection

    from trap import quality
    from trap.association.noise_history import NoiseTiles
    from trap.dataset.records import ImageRecord
    from trap.dataset.state import DatasetState

__all__ = [
    "ImageIds",
    "image_urls",
    "insert_images",
    "load_background",
    "reject",
    "rejections_of",
    "unreject",
]

LITTLE_ENDIAN = np.dtype("<f4")
MESH_NUMBERS = (
    *("nx", "ny", "origin_x", "origin_y", "extent_x", "extent_y", "cell_x", "cell_y", "mesh_nx", "mesh_ny"),
)
"""Columns of a mesh that are numbers of pixels or of cells."""


class ImageIds(NamedTuple):
    """Row numbers of the images of a timestep, and of all bands and sky regions of the dataset, in order.

    Parameters
    ----------
    images
        Numbers of the images.
    bands, regions
        Numbers of all bands and regions.
    """

    images: tuple[int, ...]
    bands: tuple[int, ...]
    regions: tuple[int, ...]


def insert_images(
    connection: Connection,
    dataset_id: int,
    timestep_id: int | None,
    images: Sequence[ImageRecord],
    state: DatasetState,
    *,
    late: bool = False,
) -> ImageIds:
    """Insert images with their noise meshes, calibrations and rejections, and with new bands and regions.

    Parameters
    ----------
    connection, dataset_id
        Connection in a transaction of the caller, and number of the dataset.
    timestep_id
        Row number of the timestep; None for images that belong to no stored timestep.
    images
        Images; they refer to bands and regions by number.
    state
        State of the dataset. It is not changed; its bands and regions without an id are inserted.
    late
        Whether the images are stored without association.

    Returns
    -------
    Row numbers.

    Raises
    ------
    DatabaseError
        If the dataset already holds an image of the same content; raised when the caller's transaction ends.
    """
    bands = (*state.band_ids, *_insert_bands(connection, dataset_id, state))
    regions = (*state.region_ids, *_insert_regions(connection, dataset_id, state))
    ids = tuple(reserve_ids(connection, Image, len(images)).tolist())
    if images:
        rows = [_image_row(image, state) for image in images]
        columns: dict[str, Any] = {name: [row[name] for row in rows] for name in rows[0]}
        columns |= {
            "id": ids,
            "dataset": dataset_id,
            "timestep": timestep_id,
            "late": late,
            "band": [bands[image.key.band] for image in images],
            "skyrgn": [regions[image.region] for image in images],
        }
        insert_columns(connection, Image, columns)
        _insert_rejections(connection, ids, images)
        _insert_meshes(connection, ids, images)
        accepted = [(i, image.result) for i, image in zip(ids, images, strict=True) if image.result.rejection is None]
        insert_calibrations(connection, [i for i, _ in accepted], [result.calibration for _, result in accepted])
        _forget_unreadable(connection, dataset_id, images)
    return ImageIds(ids, bands, regions)


def image_urls(connection: Connection, image_ids: Sequence[int] | NDArray[np.int64]) -> dict[int, str]:
    """Return the paths of images by row number.

    Parameters
    ----------
    connection, image_ids
        Connection in a transaction of the caller, and row numbers.
    """
    rows = select(Image.id, Image.url).where(is_among(connection, Image.id, image_ids))
    return {row.id: row.url for row in connection.execute(rows)}


def load_background(connection: Connection, image_id: int) -> Background | None:
    """Load the mesh of background and noise of an image; None if the image was not searched, or is a mere list.

    Parameters
    ----------
    connection, image_id
        Connection in a transaction of the caller, and row number of the image.
    """
    row = connection.execute(select(RmsMap.__table__).where(RmsMap.image == image_id)).first()
    if row is None or not row.nx:
        return None
    mean, rms = (
        np.frombuffer(mesh, LITTLE_ENDIAN).reshape(row.mesh_ny, row.mesh_nx).astype(np.float32)
        for mesh in (row.mesh_mean, row.mesh_rms)
    )
    return Background(
        mesh_mean=mean,
        mesh_rms=rms,
        shape=(row.ny, row.nx),
        origin=(row.origin_x, row.origin_y),
        extent=(row.extent_x, row.extent_y),
        cell=(row.cell_x, row.cell_y),
        correlation=_square(row.correlation),
    )


def _square(values: bytes | None) -> NDArray[np.float64] | None:
    """Return the (n, n) values of a stored square; None if it is not stored."""
    if values is None:
        return None
    flat = np.frombuffer(values, "<f8").astype(np.float64)
    return flat.reshape(2 * (math.isqrt(flat.size),))


def _insert_bands(connection: Connection, dataset_id: int, state: DatasetState) -> list[int]:
    """Insert the bands of the dataset that have no row yet, and return their row numbers."""
    new = state.bands[len(state.band_ids) :]
    ids: list[int] = reserve_ids(connection, FrequencyBand, len(new)).tolist()
    columns = {
        "id": ids,
        "dataset": dataset_id,
        "freq_central": [band.freq_central for band in new],
        "freq_low": [band.freq_low for band in new],
        "freq_high": [band.freq_high for band in new],
    }
    insert_columns(connection, FrequencyBand, columns)
    return ids


def _insert_regions(connection: Connection, dataset_id: int, state: DatasetState) -> list[int]:
    """Insert the sky regions of the dataset that have no row yet, and return their row numbers."""
    new = state.regions[len(state.region_ids) :]
    ids: list[int] = reserve_ids(connection, SkyRegion, len(new)).tolist()
    ra, dec = np.array([r.centre_ra for r in new], float), np.array([r.centre_dec for r in new], float)
    x, y, z = angles.unit_vectors(ra, dec).T
    columns = {
        "id": ids,
        "dataset": dataset_id,
        "centre_ra": ra,
        "centre_decl": dec,
        "xtr_radius": [region.xtr_radius for region in new],
        "x": x,
        "y": y,
        "z": z,
    }
    insert_columns(connection, SkyRegion, columns)
    return ids


def _image_row(image: ImageRecord, state: DatasetState) -> dict[str, Any]:
    """Return the columns of an image that need no row number of another table."""
    result, metadata = image.result, image.result.metadata
    is_searched = result.rejection is None
    extraction, beam = state.config.source_extraction, metadata.beam
    return {
        "stokes": image.key.stokes,
        "tau_time": metadata.tau_time,
        "freq_eff": metadata.freq_eff,
        "freq_bw": metadata.freq_bw,
        "taustart_ts": metadata.taustart_ts,
        # TraP's columns are semi-axes.
        "rb_smaj": beam.bmaj / 2 if beam else None,
        "rb_smin": beam.bmin / 2 if beam else None,
        "rb_pa": beam.bpa if beam else None,
        "deltax": metadata.deltax if metadata.has_pixels else None,
        "deltay": metadata.deltay if metadata.has_pixels else None,
        "fwhm_arcsec": beam.bmaj * 3600.0 if beam else None,
        "fov_degrees": 2 * metadata.sky_region(extraction.extraction_radius_pix).xtr_radius,
        "rms_qc": result.rms_qc,
        "rms_min": result.rms_min if is_searched else None,
        "rms_max": result.rms_max if is_searched else None,
        "detection_thresh": extraction.detection_threshold if is_searched else None,
        "analysis_thresh": extraction.analysis_threshold if is_searched else None,
        "url": metadata.url,
        "content_hash": result.content_hash,
        "pixel_hash": result.pixel_hash or None,
        "telescope": metadata.telescope or None,
        "source_list": result.source_list or None,
        "finder": result.finder or None,
        **area_row(result.searched if is_searched else None),
    }


def _insert_rejections(connection: Connection, ids: Sequence[int], images: Sequence[ImageRecord]) -> None:
    pairs = [(i, im.result.rejection) for i, im in zip(ids, images, strict=True) if im.result.rejection is not None]
    columns = {
        "image": [image for image, _ in pairs],
        "rejectreason": [int(rejection.reason) for _, rejection in pairs],
        "comment": [rejection.comment for _, rejection in pairs],
    }
    insert_columns(connection, Rejection, columns)


def _insert_meshes(connection: Connection, ids: Sequence[int], images: Sequence[ImageRecord]) -> None:
    """Insert the noise of the images that were searched, with their negative peaks."""
    rows = [
        {
            "image": number,
            **_mesh_row(image.result.background),
            **_tile_row(image.result.noise_tiles),
            **peak_row(image.result.negative),
        }
        for number, image in zip(ids, images, strict=True)
        if image.result.background is not None or image.result.noise_tiles is not None
    ]
    if rows:
        insert_columns(connection, RmsMap, {name: [row[name] for row in rows] for name in rows[0]})


def _mesh_row(background: Background | None) -> dict[str, Any]:
    """Return the columns of a mesh: its place in the image, and its values as little-endian bytes."""
    if background is None:
        # A source list without an image has noise on the sky, and no pixels.
        return {**dict.fromkeys(MESH_NUMBERS, 0), "mesh_mean": b"", "mesh_rms": b"", "correlation": None}
    return {
        "nx": background.shape[1],
        "ny": background.shape[0],
        "origin_x": background.origin[0],
        "origin_y": background.origin[1],
        "extent_x": background.extent[0],
        "extent_y": background.extent[1],
        "cell_x": background.cell[0],
        "cell_y": background.cell[1],
        "mesh_nx": background.mesh_rms.shape[1],
        "mesh_ny": background.mesh_rms.shape[0],
        "mesh_mean": background.mesh_mean.astype(LITTLE_ENDIAN).tobytes(),
        "mesh_rms": background.mesh_rms.astype(LITTLE_ENDIAN).tobytes(),
        "correlation": None if background.correlation is None else background.correlation.astype("<f8").tobytes(),
    }


def _tile_row(tiles: NoiseTiles | None) -> dict[str, Any]:
    if tiles is None:
        return {"tile_order": None, "tiles": None, "tile_rms": None}
    return {
        "tile_order": tiles.order,
        "tiles": tiles.codes.astype("<i8").tobytes(),
        "tile_rms": np.concatenate([part.rms for part in tiles.layers]).astype(LITTLE_ENDIAN).tobytes(),
    }


def _forget_unreadable(connection: Connection, dataset_id: int, images: Sequence[ImageRecord]) -> None:
    """Delete the records of unreadable files that could be read now."""
    urls = [image.result.metadata.url for image in images]
    same = is_among(connection, UnreadableImage.url, urls)
    connection.execute(delete(UnreadableImage).where(UnreadableImage.dataset == dataset_id, same))


# TraP's interface, kept for scripts written for TraP. The pipeline does not call these functions.


def reject(connection: Connection, image_id: int, reason: quality.RejectReason, comment: str) -> None:
    """Record the rejection of an image.

    Parameters
    ----------
    connection, image_id
        Connection in a transaction of the caller, and row number of the image.
    reason
        Reason.
    comment
        Values behind the reason.
    """
    connection.execute(insert(Rejection).values(image=image_id, rejectreason=int(reason), comment=comment))


def unreject(connection: Connection, image_id: int) -> None:
    """Delete all rejections of an image.

    Parameters
    ----------
    connection, image_id
        Connection in a transaction of the caller, and row number of the image.
    """
    connection.execute(delete(Rejection).where(Rejection.image == image_id))


def rejections_of(connection: Connection, image_id: int) -> list[str]:
    """Return all rejections of an image as ``description: comment``, as TraP's ``db.quality.isrejected`` did.

    Parameters
    ----------
    connection, image_id
        Connection in a transaction of the caller, and row number of the image.
    """
    rows = (
        select(RejectReason.description, Rejection.comment)
        .join(RejectReason, RejectReason.id == Rejection.rejectreason)
        .where(Rejection.image == image_id)
        .order_by(Rejection.id)
    )
    return [f"{description}: {comment}" for description, comment in connection.execute(rows)]
