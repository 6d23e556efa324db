"""Images that show more sources than an image can: noise that is not Gaussian makes sources everywhere."""

from __future__ import annotations

from trap.codes import RejectReason
from trap.quality.reasons import Verdict
from trap.quality.records import CatalogueInput, Check, SourceInput

__all__ = [
    "CROWDING",
    "MANY_SOURCES",
    "MIN_SOURCES",
    "USUAL_FACTOR",
    "check_crowding",
    "check_many_sources",
    "has_many_sources",
]

MIN_SOURCES = 30
"""Number of sources up to which an image is never crowded: a cut-out around a few sources is small, not crowded."""
USUAL_FACTOR = 10
"""Number of new sources over the number of known ones from which an image alone has too many, if few are known."""


def check_crowding(image: SourceInput) -> Verdict:
    """Check that an image has no more sources than a sky can show with its beam.

    Faint sources are countless; at one source in 20 to 30 beams they blend, and their sum is the noise. Sources above
    the noise at a density beyond that are peaks of noise with wide tails, or of a beam that is too large.
    """
    limit = image.config.quality.max_source_density
    density = image.n_sources / max(image.n_beams, 1.0)
    comment = (
        f"{image.n_sources} sources in {image.n_beams:.0f} beam areas, {density:.3g} in each, "
        f"at most {limit:g} (quality.max_source_density)"
    )
    return Verdict(density <= limit, comment)


def has_many_sources(image: SourceInput) -> bool:
    """Return whether an image has so many sources that their density means something."""
    return image.n_sources > MIN_SOURCES


def check_many_sources(image: CatalogueInput) -> Verdict:
    """Check an image against a catalogue of few sources: that it has not many times as many new ones.

    In such a field, new sources are no reason to leave an image out, as it may show the first sources of the field.
    """
    limit = max(image.config.quality.max_new_sources, USUAL_FACTOR * image.n_known)
    comment = (
        f"{image.n_new} sources are new where earlier images should have shown them, and {image.n_known} are known; "
        f"at most {limit} (quality.max_new_sources, and {USUAL_FACTOR} times the known ones)"
    )
    return Verdict(image.n_new <= limit, comment)


CROWDING = Check(
    name="crowding",
    setting="check_crowding",
    reason=RejectReason.NOT_GAUSSIAN,
    fails_if=f"there are more sources in a beam area than `max_source_density`, and more than {MIN_SOURCES}",
    function=check_crowding,
    needs=(has_many_sources,),
)
MANY_SOURCES = Check(
    name="many_sources",
    setting="check_crowding",
    reason=RejectReason.NEW_SOURCES,
    fails_if=f"a field of few known sources has {USUAL_FACTOR} times as many new ones, and over `max_new_sources`",
    function=check_many_sources,
)
