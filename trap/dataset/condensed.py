"""Outcomes of timesteps without most of their measurements, which would exceed the memory in a long run.

The summary of a run needs the numbers of measurements, and the measurements of the candidates alone.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.association.groups import GroupMembers
from trap.association.negative_peaks import NegativePeaks
from trap.association.noise_history import NoiseTiles
from trap.association.noise_peaks import NoiseChance
from trap.catalogues import Associations, FitRequests, Measurements
from trap.dataset.records import ImageRecord

if TYPE_CHECKING:
    from trap.dataset.outcomes import TimestepOutcome

__all__ = ["CondensedImage", "condense_outcome"]

NO_TILES = NoiseTiles(order=0, tile=np.empty(0, np.int64), rms=np.empty(0, np.float32))
"""Noise of an image that had noise."""


class _Counts(NamedTuple):
    """Numbers of sources that the blind search found, of requested forced fits, and of fits with a flux density."""

    n_blind: int
    n_requested: int
    n_fitted: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CondensedImage(ImageRecord):
    """One image with the measurements of its candidates, the numbers of all measurements, and no noise.

    Parameters
    ----------
    counts
        Numbers of all measurements.
    """

    counts: _Counts

    @property
    def n_blind(self) -> int:
        """Number of sources that the blind search found, including ones that are left out."""
        return self.counts.n_blind

    @property
    def n_requested(self) -> int:
        """Number of requested forced fits."""
        return self.counts.n_requested

    @property
    def n_fitted(self) -> int:
        """Number of forced fits with a flux density."""
        return self.counts.n_fitted


def condense_outcome(outcome: TimestepOutcome) -> TimestepOutcome:
    """Return the outcome of a timestep for the summary of its run.

    Parameters
    ----------
    outcome
        Outcome with all measurements of its images, or a condensed one.
    """
    return replace(outcome, images=tuple(_condense_image(image) for image in outcome.images))


def _condense_image(image: ImageRecord) -> CondensedImage:
    """Return the condensed record of an image."""
    rows = image.new_sources.measurement
    kept = {field.name: getattr(image, field.name) for field in fields(ImageRecord)}
    kept["result"] = replace(
        image.result,
        measurements=Measurements.empty(),
        background=None,
        noise_tiles=None if image.result.noise_tiles is None else NO_TILES,
        negative=NegativePeaks.empty(),
    )
    kept |= {
        "measurements": image.measurements.take(rows),
        "associations": Associations.empty(),
        "new_sources": image.new_sources.with_columns(measurement=np.arange(len(rows))),
        "forced": FitRequests.empty(),
        "members": GroupMembers.empty(),
        "chance": NoiseChance(),
    }
    return CondensedImage(**kept, counts=_Counts(image.n_blind, image.n_requested, image.n_fitted))
