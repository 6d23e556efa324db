"""The list of all quality checks, in their order. The first check that rejects an image is recorded.

TraP's checks come first, in its order. LOFAR images have more checks, in an order of their own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from trap.quality import beams, bright, calibration, crowding, dates, history, lofar, negative, pixels

if TYPE_CHECKING:
    from collections.abc import Iterable

    from trap.quality.reasons import Finding
    from trap.quality.records import (
        CalibrationInput,
        CatalogueInput,
        Check,
        EarlierInput,
        ImageInput,
        Input,
        SourceInput,
    )

__all__ = [
    "all_checks",
    "check_against_catalogue",
    "check_against_earlier",
    "check_against_small_catalogue",
    "check_calibration",
    "check_image",
    "check_list",
    "check_sources",
    "checks_table",
]

_FIRST: tuple[Check[ImageInput], ...] = (pixels.FLAT, pixels.NAN)
_LAST: tuple[Check[ImageInput], ...] = (pixels.OFF_SKY, pixels.PSF, pixels.ASYMMETRY, dates.DATE, dates.STALE)
LOFAR_CHECKS: tuple[Check[ImageInput], ...] = (
    *_FIRST,
    lofar.TAU_TIME,
    lofar.NOISE,
    beams.BEAM,
    beams.BEAM_SHAPE,
    bright.BRIGHT_SOURCE,
    pixels.RMS,
    *_LAST,
)
"""Checks of images that name their LOFAR stations."""
OTHER_CHECKS: tuple[Check[ImageInput], ...] = (
    *_FIRST,
    pixels.RMS,
    beams.BEAM,
    beams.BEAM_SHAPE,
    bright.BRIGHT_SOURCE_ELSEWHERE,
    *_LAST,
)
"""Checks of all other images."""
LIST_CHECKS: tuple[Check[ImageInput], ...] = (bright.BRIGHT_SOURCE_ELSEWHERE, dates.DATE, dates.STALE)
"""Checks of source lists without an image, which need no pixels."""
SOURCE_CHECKS: tuple[Check[SourceInput], ...] = (negative.NEGATIVE, crowding.CROWDING)
EARLIER_CHECKS: tuple[Check[EarlierInput], ...] = (
    history.RMS_HISTORY,
    history.BEAM_JUMP,
    history.FREQUENCY_JUMP,
    history.REPEATED,
)
CATALOGUE_CHECKS: tuple[Check[CatalogueInput], ...] = (history.NEW_SOURCES,)
SMALL_CATALOGUE_CHECKS: tuple[Check[CatalogueInput], ...] = (crowding.MANY_SOURCES,)
CALIBRATION_CHECKS: tuple[Check[CalibrationInput], ...] = (
    calibration.GAIN,
    calibration.POSITION_SCATTER,
    calibration.SMEARING,
    calibration.PATCH,
)


def check_image(image: ImageInput) -> tuple[Finding, ...]:
    """Check an image by itself, before its sources are extracted."""
    checks = OTHER_CHECKS if image.metadata.lofar is None else LOFAR_CHECKS
    return _run(checks, image)


def check_list(image: ImageInput) -> tuple[Finding, ...]:
    """Check a source list without an image, before its sources: its pointing and its date."""
    return _run(LIST_CHECKS, image)


def check_sources(image: SourceInput) -> tuple[Finding, ...]:
    """Check the sources that were extracted from an image."""
    return _run(SOURCE_CHECKS, image)


def check_against_earlier(image: EarlierInput) -> tuple[Finding, ...]:
    """Compare an image with other images of the dataset."""
    return _run(EARLIER_CHECKS, image)


def check_against_catalogue(image: CatalogueInput) -> tuple[Finding, ...]:
    """Compare the sources of an image with the running catalogue."""
    return _run(CATALOGUE_CHECKS, image)


def check_against_small_catalogue(image: CatalogueInput) -> tuple[Finding, ...]:
    """Compare the sources of an image with a running catalogue of too few sources to reject it."""
    return _run(SMALL_CATALOGUE_CHECKS, image)


def check_calibration(image: CalibrationInput) -> tuple[Finding, ...]:
    """Compare the calibration of an image with the calibrations of earlier images."""
    return _run(CALIBRATION_CHECKS, image)


def all_checks() -> tuple[Check[Any], ...]:
    """Return every check once, in the order of the documentation."""
    image_checks = (*LOFAR_CHECKS[: -len(_LAST)], *OTHER_CHECKS)
    later_checks: tuple[Check[Any], ...] = (
        *SOURCE_CHECKS,
        *EARLIER_CHECKS,
        *CATALOGUE_CHECKS,
        *SMALL_CATALOGUE_CHECKS,
        *CALIBRATION_CHECKS,
    )
    return tuple(dict.fromkeys((*image_checks, *later_checks)))


def checks_table() -> str:
    """Write the table of all checks as Markdown, for docs/reference/images.md."""
    lines = ["| check | setting | default | reason | fails if |", "|---|---|---|---|---|"]
    lines += [
        f"| {check.name} | [`{check.setting}`](configuration.md#{check.setting}) | {check.default} |"
        f" {check.reason.value} | {check.fails_if} |"
        for check in all_checks()
    ]
    return "\n".join(lines) + "\n"


def _run(checks: Iterable[Check[Input]], image: Input) -> tuple[Finding, ...]:
    """Run checks in order and return the findings. Checks that do not apply are skipped."""
    findings = (check.run(image) for check in checks)
    return tuple(finding for finding in findings if finding is not None)
