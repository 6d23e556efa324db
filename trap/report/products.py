"""The registry of files that ``transients extract`` writes for an image: tables, regions, a sky model and maps.

This module is imported for ``--help``, so the writers import their libraries themselves.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trap.report.formats import FORMATS

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trap.images.image import Image
    from trap.report.extracted import Extracted
    from trap.report.formats import TableFormat

__all__ = ["PRODUCTS", "Product", "image_stem", "product_path"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Product:
    """A kind of file.

    Parameters
    ----------
    name
        Name of the option of ``transients extract``, without its dashes.
    suffix
        Ending of the file, which is named after the image.
    description
        Description for ``--help``.
    write
        Function that writes the file, in place of an earlier one.
    """

    name: str
    suffix: str
    description: str
    write: Callable[[Path, Extracted], None]


def image_stem(path: str | Path) -> str:
    """Return the name of an image without .fits, .fits.gz and similar endings."""
    name = Path(path).name
    for suffix in (".gz", ".fz", ".fits", ".fit", ".FITS"):
        name = name.removesuffix(suffix)
    return name


def product_path(product: Product, image: Image, directory: Path) -> Path:
    """Return the path of a product of an image.

    Parameters
    ----------
    product
        Kind of file.
    image
        Image that gives the file its name.
    directory
        Folder of the file.
    """
    return directory / f"{image_stem(image.path)}{product.suffix}"


def _table(table_format: TableFormat, path: Path, extracted: Extracted) -> None:
    path.write_bytes(table_format.encode(extracted.table))


def _skymodel(path: Path, extracted: Extracted) -> None:
    from trap.report.sources import skymodel_text

    metadata = extracted.image.metadata
    text = skymodel_text(
        extracted.detections.measurements, extracted.shapes, frequency_hz=metadata.freq_eff, stokes=metadata.stokes
    )
    _write_text(path, text)


def _rms_map(path: Path, extracted: Extracted) -> None:
    _write_map(path, extracted.detections.background.rms_map(), extracted.image, "Jy/beam")


def _significance_map(path: Path, extracted: Extracted) -> None:
    from trap.finder.maps import significance_map

    image, detections = extracted.image, extracted.detections
    _write_map(path, significance_map(image, detections.background, detections.config), image, "")


def _model(path: Path, extracted: Extracted) -> None:
    _write_map(path, _model_of(extracted), extracted.image, "Jy/beam")


def _residual(path: Path, extracted: Extracted) -> None:
    from trap.finder.maps import residual_map

    image = extracted.image
    _write_map(path, residual_map(image, extracted.detections.background, _model_of(extracted)), image, "Jy/beam")


def _islands(path: Path, extracted: Extracted) -> None:
    """Write the numbers of the islands, on the pixels of the detection image."""
    from trap.extraction.measure import searched_field
    from trap.finder.maps import island_map

    detections, image = extracted.detections, extracted.detections.detected_in
    field = searched_field(image, detections.detection_background, detections.config)
    threshold = detections.detection_threshold
    limits = {"detection": threshold, "analysis": min(detections.config.analysis_threshold, threshold)}
    labels = island_map(field, **limits)
    if detections.config.searches_negative(image.metadata.stokes):
        labels -= island_map(field.negative(), **limits)
    _write_map(path, labels, image, "")


def _model_of(extracted: Extracted) -> NDArray[Any]:
    from trap.finder.maps import model_map

    metadata = extracted.image.metadata
    return model_map(extracted.detections.measurements, extracted.image.wcs, (metadata.ny, metadata.nx))


def _write_text(path: Path, text: str) -> None:
    path.write_text(f"{text}\n", encoding="utf-8")


def _write_map(path: Path, pixels: NDArray[Any], image: Image, unit: str) -> None:
    from trap.images.formats.fits import write_map

    write_map(path, pixels, image.header, unit)


_TABLES = tuple(
    Product(name=one.name, suffix=one.suffix, description=one.description, write=partial(_table, one))
    for one in FORMATS.values()
    # ``transients extract --json`` prints all images to standard output instead. Regions have the name of their kind.
    if one.write is not None and one.name not in ("json", "ds9")
)
_OTHERS = (
    Product(
        name="regions",
        suffix=FORMATS["ds9"].suffix,
        description="DS9 regions: the ellipses at half maximum",
        write=partial(_table, FORMATS["ds9"]),
    ),
    Product(name="skymodel", suffix=".skymodel", description="sky model for BBS: deconvolved sources", write=_skymodel),
    Product(name="rms-map", suffix=".rms.fits", description="map of the noise", write=_rms_map),
    Product(
        name="significance-map",
        suffix=".significance.fits",
        description="map of the brightness over the noise",
        write=_significance_map,
    ),
    Product(name="model", suffix=".model.fits", description="map of the measured sources", write=_model),
    Product(
        name="residual",
        suffix=".residual.fits",
        description="map of the image without background and sources",
        write=_residual,
    ),
    Product(name="islands", suffix=".islands.fits", description="map of the islands' numbers", write=_islands),
)
PRODUCTS = {product.name: product for product in (*_TABLES, *_OTHERS)}
"""All kinds of file by name, in the order of the help."""
