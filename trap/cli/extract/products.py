"""What ``trap extract`` gives out for an image: a description, and files of every kind."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.cli.files import reported
from trap.extraction.measure import searched_field
from trap.finder.maps import island_map, model_map, residual_map, significance_map
from trap.images.formats.fits import write_map
from trap.report.export import as_csv, as_rows
from trap.report.source_columns import SourceColumns, source_columns
from trap.report.sources import regions_text, skymodel_text, sources_text
from trap.report.text import count, number

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from trap.finder.finder import Detections
    from trap.finder.shapes import SourceShapes
    from trap.images.image import Image

__all__ = ["Extracted", "image_stem", "write_product"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extracted:
    """What one image gave.

    Parameters
    ----------
    image
        The image measured.
    findings, shapes
        Its sources, and what they look like without the beam.
    names
        Names of the sources, if they came with names.
    has_holes
        Whether negative sources were looked for too.
    """

    image: Image
    findings: Detections
    shapes: SourceShapes
    names: Sequence[str] = ()
    has_holes: bool = False

    @property
    def columns(self) -> SourceColumns:
        """All that is known of the sources, column by column."""
        return source_columns([self.findings.measurements, self.shapes], self.names)

    @property
    def values(self) -> dict[str, NDArray[Any]]:
        """The same without units and meanings."""
        return {name: values for name, (_, values) in self.columns.items()}

    @property
    def about(self) -> dict[str, str | float]:
        """What holds for all sources."""
        findings = self.findings
        about: dict[str, str | float] = {"image": self.image.url}
        if findings.detected_in is not self.image:
            about["detected in"] = findings.detected_in.url
        if np.isfinite(findings.detection_threshold):
            about["det_thr"] = findings.detection_threshold
            about["anl_thr"] = findings.config.analysis_threshold
        return about

    @property
    def description(self) -> dict[str, Any]:
        """All of it, for programs."""
        findings, rms = self.findings, self.findings.background.mesh_rms
        return {
            "image": self.image.url,
            "problem": None,
            "detected_in": findings.detected_in.url,
            "detection_threshold": findings.detection_threshold,
            "analysis_threshold": findings.config.analysis_threshold,
            "rms_min": rms.min(),
            "rms_max": rms.max(),
            "sources": list(as_rows(self.values)),
        }

    @property
    def text(self) -> str:
        """All of it, for people."""
        findings, rms = self.findings, self.findings.background.mesh_rms
        threshold = findings.detection_threshold
        limit = f"detection at {number(threshold, 3)} σ" if np.isfinite(threshold) else "nothing above the noise"
        heading = (
            f"{self.image.url}: {count(len(findings.measurements), 'source')}; {limit}; "
            f"noise {number(rms.min(), 3)} to {number(rms.max(), 3)} Jy/beam"
        )
        return f"{heading}\n{sources_text(findings.measurements, self.shapes, self.names)}".rstrip()


def image_stem(path: str | Path) -> str:
    """Name of an image without .fits, .fits.gz and the like."""
    name = Path(path).name
    for suffix in (".gz", ".fz", ".fits", ".fit", ".FITS"):
        name = name.removesuffix(suffix)
    return name


def write_product(product: str, extracted: Extracted, directory: Path) -> None:
    """Write one file, named after the image; an earlier one is replaced.

    Parameters
    ----------
    product
        One of ``trap.cli.extract.options.PRODUCTS``.

    Raises
    ------
    ConfigError
        If the file cannot be written.
    """
    suffix, write = _WRITERS[product]
    path = directory / f"{image_stem(extracted.image.path)}{suffix}"
    with reported(path):
        write(path, extracted)


def _write_text(path: Path, text: str) -> None:
    path.write_text(f"{text}\n", encoding="utf-8")


def _csv(path: Path, extracted: Extracted) -> None:
    _write_text(path, as_csv(extracted.values))


def _votable(path: Path, extracted: Extracted) -> None:
    # astropy's tables take a while to import.
    from trap.report.source_files import write_votable

    write_votable(path, extracted.columns, extracted.about)


def _fits(path: Path, extracted: Extracted) -> None:
    from trap.report.source_files import write_fits_table

    write_fits_table(path, extracted.columns, extracted.about)


def _regions(path: Path, extracted: Extracted) -> None:
    _write_text(path, regions_text(extracted.findings.measurements, extracted.names))


def _skymodel(path: Path, extracted: Extracted) -> None:
    metadata = extracted.image.metadata
    text = skymodel_text(
        extracted.findings.measurements, extracted.shapes, frequency_hz=metadata.freq_eff, stokes=metadata.stokes
    )
    _write_text(path, text)


def _rms_map(path: Path, extracted: Extracted) -> None:
    _write_map(path, extracted.findings.background.rms_map(), extracted.image, "Jy/beam")


def _significance_map(path: Path, extracted: Extracted) -> None:
    image, findings = extracted.image, extracted.findings
    _write_map(path, significance_map(image, findings.background, findings.config), image, "")


def _model(path: Path, extracted: Extracted) -> None:
    _write_map(path, _model_of(extracted), extracted.image, "Jy/beam")


def _residual(path: Path, extracted: Extracted) -> None:
    image = extracted.image
    _write_map(path, residual_map(image, extracted.findings.background, _model_of(extracted)), image, "Jy/beam")


def _islands(path: Path, extracted: Extracted) -> None:
    # On the pixels of the detection image, where that is another one.
    findings, image = extracted.findings, extracted.findings.detected_in
    field = searched_field(image, findings.detection_background, findings.config)
    threshold = findings.detection_threshold
    limits = {"detection": threshold, "analysis": min(findings.config.analysis_threshold, threshold)}
    labels = island_map(field, **limits)
    if extracted.has_holes:
        labels -= island_map(field.negative(), **limits)
    _write_map(path, labels, image, "")


def _model_of(extracted: Extracted) -> NDArray[np.float32]:
    metadata = extracted.image.metadata
    return model_map(extracted.findings.measurements, extracted.image.wcs, (metadata.ny, metadata.nx))


def _write_map(path: Path, pixels: NDArray[Any], image: Image, unit: str) -> None:
    write_map(path, pixels, image.header, unit)


_WRITERS: dict[str, tuple[str, Callable[[Path, Extracted], None]]] = {
    "csv": (".csv", _csv),
    "votable": (".vot", _votable),
    "fits": (".sources.fits", _fits),
    "regions": (".reg", _regions),
    "skymodel": (".skymodel", _skymodel),
    "rms-map": (".rms.fits", _rms_map),
    "significance-map": (".significance.fits", _significance_map),
    "model": (".model.fits", _model),
    "residual": (".residual.fits", _residual),
    "islands": (".islands.fits", _islands),
}
