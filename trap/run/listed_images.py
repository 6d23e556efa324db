"""Images whose sources another finder has listed, and such lists without an image."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
import structlog

from trap import angles
from trap.association.noise_peaks import SearchedArea
from trap.config import STOKES
from trap.dataset.records import ImageResult
from trap.errors import ImageError, UnreadableImageError
from trap.extraction.field import measured_mask
from trap.extraction.given_maps import read_maps
from trap.extraction.listed_noise import sample_listed_noise
from trap.extraction.measure import describe_background, flag_outside
from trap.extraction.uncertainties import systematic_errors
from trap.images.beam import Beam
from trap.images.formats.files import hash_file, is_folder
from trap.images.metadata import ImageMetadata
from trap.images.patterns import path_of
from trap.run.pairing_table import impossible_values
from trap.source_lists.read import read_source_list
from trap.steps import quality

if TYPE_CHECKING:
    from trap.association.noise_history import NoiseTiles
    from trap.catalogues import Measurements
    from trap.config import PipelineConfig
    from trap.extraction.measure import Extraction
    from trap.images.image import Image
    from trap.run.pairing_table import ListedImage
    from trap.source_lists.profiles import NoiseAt
    from trap.source_lists.read import SourceList
    from trap.typing import Array

__all__ = ["content_hash_of", "extract_listed", "listed_metadata", "measure_list", "require_list"]

log = structlog.get_logger(__name__)

STOKES_I = 1
BEAM_PIXELS = 16
"""Number of pixels per product of the two widths of the beam that the searched area of a list counts."""
MIN_CROWD = 10
"""Number of sources that cannot all lie within one beam."""
FAR_OFF = -1e6
"""Column and row of positions without a pixel."""


def require_list(listed: ListedImage, url: str) -> None:
    """Check that an image has a list of its own.

    Parameters
    ----------
    listed, url
        The list, and the path of the image.

    Raises
    ------
    ImageError
        If it has none.
    """
    if listed.problem:
        raise ImageError(listed.problem, url)


def content_hash_of(listed: ListedImage, image_hash: str, config: PipelineConfig, *, list_hash: str = "") -> str:
    """Hash an image together with the files of its source list; the same image with another list is other content.

    Parameters
    ----------
    listed
        The list and its maps.
    image_hash
        Hash of the image; empty for a list without an image, whose metadata are hashed instead.
    config
        All settings, among them metadata of lists.
    list_hash
        Hash of the list as it was read; empty hashes the file.

    Returns
    -------
    128-bit BLAKE2b, hexadecimal.

    Raises
    ------
    UnreadableImageError
        If a file cannot be read.
    """
    maps = [path and _hash(path) for path in (listed.noise, listed.background)]
    parts = [image_hash, list_hash or _hash(listed.catalogue), *maps]
    if not listed.has_image:
        # Lists of two times may be the same, as empty ones are.
        parts.append(repr((_given_values(listed, config), listed.circle, listed.rms)))
    return hashlib.blake2b("\0".join(parts).encode(), digest_size=16).hexdigest()


def _hash(path: str) -> str:
    """Hash a file; a folder or a pipe, which would block, is refused."""
    file = path_of(path)
    if is_folder(file):
        raise UnreadableImageError("a folder, not a file", path)
    return hash_file(file)


def extract_listed(image: Image, listed: ListedImage, config: PipelineConfig) -> tuple[Extraction, SourceList]:
    """Take the sources of an image from a list; level and noise of the empty sky are measured, or come from maps.

    Parameters
    ----------
    image
        The image; its pixels are read.
    listed
        The list and its maps.
    config
        All settings.

    Returns
    -------
    The sources with the background, and the list as it was read.

    Raises
    ------
    ImageError
        If the list or a map cannot be used; the message names the file.
    """
    settings = config.source_extraction
    maps = read_maps(image, listed.noise, listed.background) if listed.noise else None
    extraction = describe_background(image, settings, maps)

    def noise(ra: Array, dec: Array) -> Array:
        """Return the noise of the mesh, for lists without noise."""
        return extraction.background.rms_at(*_pixels_of(image, ra, dec))

    read = _read(listed, config, image.metadata, noise)
    sources = read.measurements
    if len(sources):
        x, y = _pixels_of(image, sources.ra, sources.dec)
        sources = flag_outside(sources.with_columns(x=x, y=y), measured_mask(image.data, settings))
    return replace(extraction, measurements=sources), read


def _pixels_of(image: Image, ra: Array, dec: Array) -> tuple[Array, Array]:
    """Compute the pixels of positions; a position that the projection cannot show is far off the image."""
    # Quiet, since a distortion need not be invertible far outside the image.
    x, y = image.wcs.all_world2pix(ra, dec, 0, quiet=True)
    is_shown = np.isfinite(x + y)
    return np.where(is_shown, x, FAR_OFF), np.where(is_shown, y, FAR_OFF)


def _read(listed: ListedImage, config: PipelineConfig, metadata: ImageMetadata, noise: NoiseAt | None) -> SourceList:
    """Read a list, and assume the systematic position errors of sources that have none, as for our own."""
    read = read_source_list(listed.catalogue, config.source_lists, metadata, noise=noise)
    log.debug("source_list_read", list=listed.catalogue, finder=read.finder, notices=read.notices, **read.left_out)
    sources, beam = read.measurements, metadata.beam
    if beam is None or not len(sources):
        return read
    assumed = systematic_errors(beam, config.source_extraction)
    columns = {name: np.where(getattr(sources, name) > 0, getattr(sources, name), assumed[name]) for name in assumed}
    return replace(read, measurements=sources.with_columns(**columns))


def listed_metadata(url: str, listed: ListedImage, config: PipelineConfig) -> ImageMetadata:
    """Make the metadata of a list without an image; its field may be unknown (NaN).

    Parameters
    ----------
    url
        Path of the list.
    listed
        The list with the values of its row.
    config
        All settings; values of ``[[reading.given]]`` for this path override the row.

    Raises
    ------
    ImageError
        If a value is missing.
    """
    require_list(listed, url)
    values = _given_values(listed, config)
    missing = [name for name in ("taustart_ts", "freq_eff", "bmaj", "bmin") if name not in values]
    if missing:
        msg = (
            f"a source list without an image needs {', '.join(missing)}: a column of the table (reading.catalogues), "
            "or a value in [[reading.given]]"
        )
        raise ImageError(msg, url)
    circle = listed.circle
    if problem := impossible_values(values, circle.radius):
        raise ImageError(problem, url)
    return ImageMetadata(
        url=url,
        taustart_ts=values["taustart_ts"],
        tau_time=values.get("tau_time", 0.0),
        freq_eff=values["freq_eff"],
        freq_bw=values.get("freq_bw", 0.0),
        stokes=STOKES[values["stokes"]] if "stokes" in values else STOKES_I,
        telescope=values.get("telescope", ""),
        beam=Beam(bmaj=values["bmaj"], bmin=values["bmin"], bpa=values.get("bpa", 0.0)),
        centre_ra=circle.ra,
        centre_dec=circle.dec,
        deltax=0.0,
        deltay=0.0,
        nx=0,
        ny=0,
        unit="Jy/beam",
        reach=circle.radius if circle.radius > 0 else 0.0,
    )


def _given_values(listed: ListedImage, config: PipelineConfig) -> dict[str, Any]:
    """Return the metadata of a list: the values of its row, overridden by the settings."""
    given = config.reading.given_for(listed.catalogue)
    return {
        **listed.given.model_dump(exclude_none=True, exclude={"match"}),
        **given.model_dump(exclude_none=True, exclude={"match"}),
    }


def measure_list(url: str, listed: ListedImage, config: PipelineConfig) -> ImageResult:
    """Read a source list without an image: its sources, its noise on the sky, and its checks.

    Parameters
    ----------
    url, listed, config
        As for :func:`listed_metadata`.

    Returns
    -------
    The result, without a background: no forced fits can be made.

    Raises
    ------
    ImageError
        If the list cannot be used.
    """
    metadata = listed_metadata(url, listed, config)
    constant = listed.rms
    noise = (lambda ra, _: np.full(len(ra), constant)) if constant > 0 else None
    read = _read(listed, config, metadata, noise)
    content_hash = content_hash_of(listed, "", config, list_hash=read.content_hash)
    sources = read.measurements
    metadata = _in_its_field(metadata, sources)
    tiles = None
    if listed.rms > 0 or (sources.rms > 0).any():
        region = metadata.sky_region(0)
        tiles = sample_listed_noise(
            region, sources, constant=listed.rms, beam=0.0 if metadata.beam is None else metadata.beam.bmaj
        )
    noises = np.concatenate([layer.rms for layer in tiles.layers]) if tiles is not None else np.empty(0)
    rms = listed.rms if listed.rms > 0 else float(np.median(noises)) if noises.size else math.nan
    searched = _searched(metadata, tiles, config)
    # The list stands for the pixels. Empty lists of two times may be equal.
    pixel_hash = read.content_hash if len(sources) and config.quality.check_repeated != "off" else ""
    result = replace(
        ImageResult.unmeasured(metadata, rms_qc=rms, pixel_hash=pixel_hash, content_hash=content_hash),
        measurements=sources,
        noise_tiles=tiles,
        rms_min=float(noises.min()) if noises.size else math.nan,
        rms_max=float(noises.max()) if noises.size else math.nan,
        searched=searched,
        source_list=listed.catalogue,
        finder=read.finder,
    )
    return result.found(quality.examine_list(metadata, rms, searched, config, n_sources=len(sources)))


def _in_its_field(metadata: ImageMetadata, sources: Measurements) -> ImageMetadata:
    """Complete the field of a list by the smallest circle around its sources, with a beam around it."""
    known = math.isfinite(metadata.centre_ra + metadata.centre_dec)
    if known and metadata.reach > 0:
        return metadata
    if not len(sources):
        msg = (
            "a source list without sources needs ra, dec and radius of its field: columns of the table "
            "(reading.catalogues)"
        )
        raise ImageError(msg, metadata.url)
    ra, dec, radius = angles.enclosing_circle(sources.ra, sources.dec)
    if known:
        ra, dec = metadata.centre_ra, metadata.centre_dec
        radius = float(angles.separation(ra, dec, sources.ra, sources.dec).max())
    width = 0.0 if metadata.beam is None else metadata.beam.bmaj
    if len(sources) >= MIN_CROWD and metadata.reach <= 0 and width > 2 * radius:
        msg = f"bmaj {width:g} deg is more than {2 * radius:.3g} deg, the width of the circle around its sources"
        raise ImageError(f"{msg} ({len(sources)}); its unit is deg", metadata.url)
    reach = metadata.reach if metadata.reach > 0 else radius + width
    return replace(metadata, centre_ra=ra, centre_dec=dec, reach=reach)


def _searched(metadata: ImageMetadata, tiles: NoiseTiles | None, config: PipelineConfig) -> SearchedArea:
    """Return the searched area of a list, the area of its tiles. Noise is taken as correlated like the beam."""
    beam = metadata.beam
    if tiles is None or beam is None:
        return SearchedArea()
    area = sum(len(layer.tile) * 41252.96 / (12 * 4**layer.order) for layer in tiles.layers)
    n_beams = round(area / (beam.bmaj * beam.bmin))
    threshold = config.source_extraction.detection_threshold
    return SearchedArea(n_pixels=BEAM_PIXELS * n_beams, n_beams=n_beams, threshold=threshold)
