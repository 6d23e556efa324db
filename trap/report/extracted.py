"""The sources of one image that were found on their own: as text, as values for programs, and as a table."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.config import stokes_letter
from trap.escapes import plain_text
from trap.report.columns import ExportTable, source_columns
from trap.report.export import as_rows
from trap.report.sources import sources_text
from trap.report.text import count, number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from trap.finder.finder import Detections
    from trap.finder.shapes import SourceShapes
    from trap.images.image import Image

__all__ = ["Extracted"]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Extracted:
    """The sources of one image.

    Parameters
    ----------
    image
        The measured image.
    detections
        Its sources, background and thresholds.
    shapes
        (n,) — shapes of the sources, deconvolved from the beam.
    names
        Names of the sources, if the positions had names.
    """

    image: Image
    detections: Detections
    shapes: SourceShapes
    names: Sequence[str] = ()

    @property
    def table(self) -> ExportTable:
        """All values of the sources, column by column."""
        columns = source_columns([self.detections.measurements, self.shapes], self.names)
        return ExportTable(name="sources", columns=columns, about=self._about())

    @property
    def _stokes(self) -> str:
        """Letter of the Stokes parameter of the image."""
        return stokes_letter(self.image.metadata.stokes)

    def _about(self) -> dict[str, str | float]:
        """Return the properties that all sources share: the images and the thresholds."""
        detections = self.detections
        about: dict[str, str | float] = {"image": self.image.url, "stokes": self._stokes}
        if detections.detected_in is not self.image:
            about["detected in"] = detections.detected_in.url
        if np.isfinite(detections.detection_threshold):
            about["det_thr"] = detections.detection_threshold
            about["anl_thr"] = detections.config.analysis_threshold
        return about

    @property
    def description(self) -> dict[str, Any]:
        """All values, for programs."""
        detections, rms = self.detections, self.detections.background.mesh_rms
        return {
            "image": self.image.url,
            "problem": None,
            "stokes": self._stokes,
            "detected_in": detections.detected_in.url,
            "detection_threshold": detections.detection_threshold,
            "analysis_threshold": detections.config.analysis_threshold,
            "rms_min": rms.min(),
            "rms_max": rms.max(),
            "sources": list(as_rows(self.table.values)),
        }

    @property
    def text(self) -> str:
        """A heading and a table of the sources, as text."""
        detections, rms = self.detections, self.detections.background.mesh_rms
        threshold = detections.detection_threshold
        limit = f"detection at {number(threshold, 3)} σ" if np.isfinite(threshold) else "nothing above the noise"
        heading = (
            f"{plain_text(self.image.url)}: {count(len(detections.measurements), 'source')}; {limit}; "
            f"noise {number(1e3 * rms.min(), 3)} to {number(1e3 * rms.max(), 3)} mJy/beam; Stokes {self._stokes}"
        )
        return f"{heading}\n{sources_text(detections.measurements, self.shapes, self.names)}".rstrip()
