"""The chance of noise as text: expected numbers of peaks in words, grades, and negative peaks seen and expected."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from trap.association.noise_peaks import SearchedArea
from trap.catalogues import Grade
from trap.config import STOKES, stokes_letter
from trap.report.text import MISSING, count, megahertz, number

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from trap.dataset.records import ImageRecord

__all__ = ["areas_of_images", "chance_text", "grade_text", "grades_text", "noise_lines"]

RAREST = 1e-9
"""Smallest number that is written; smaller ones have no meaning, as noise is not Gaussian to that degree."""
ONE_IN_FIVE = 0.2
"""Number below which a number is written as one in so many."""


def chance_text(peaks: Any) -> str:  # noqa: ANN401 (numpy and Python numbers, None)
    """Write an expected number of noise peaks in words: ``3``, ``0.4``, or ``1 in 1,000``.

    Parameters
    ----------
    peaks
        Expected number; a dash is written for None and NaN.
    """
    if peaks is None or not math.isfinite(peaks):
        return MISSING
    if peaks < RAREST:
        return f"under 1 in {1 / RAREST:,.0f}"
    if peaks >= ONE_IN_FIVE:
        return number(peaks, 2) if peaks < 10 else f"{peaks:,.0f}"
    # Two digits, as in "1 in 1,300".
    n_runs = 1 / peaks
    return f"1 in {round(n_runs, 1 - math.floor(math.log10(n_runs))):,.0f}"


def grade_text(grade: Any) -> str:  # noqa: ANN401 (numpy and Python numbers, None)
    """Write the grade of a candidate in a word; a dash for None and NaN.

    Parameters
    ----------
    grade
        Number of :class:`~trap.catalogues.Grade`, or None.
    """
    return MISSING if grade is None or not math.isfinite(grade) else Grade(int(grade)).name.lower()


def grades_text(grades: Sequence[int]) -> str:
    """Write the number of candidates with each grade: ``3 transient candidates (1 likely, 2 possible)``.

    Parameters
    ----------
    grades
        Number of :class:`~trap.catalogues.Grade` of each candidate.
    """
    text = count(len(grades), "transient candidate")
    if not len(grades):
        return text
    n_likely = sum(grade == Grade.LIKELY for grade in grades)
    return f"{text} ({n_likely} likely, {len(grades) - n_likely} possible)"


def areas_of_images(images: Iterable[ImageRecord]) -> list[tuple[float, int, SearchedArea]]:
    """Return the searched area of images together, for each band and Stokes parameter.

    Parameters
    ----------
    images
        Images of a run; rejected ones have no area.

    Returns
    -------
    Central frequency of the first image of the band [Hz], FITS code of the Stokes parameter, and area, in their order.
    """
    areas: dict[Any, SearchedArea] = {}
    frequencies: dict[Any, float] = {}
    for image in images:
        areas[image.key] = areas.get(image.key, SearchedArea()) + image.result.searched
        frequencies.setdefault(image.key, image.result.metadata.freq_eff)
    return sorted(
        ((frequencies[key], key.stokes, area) for key, area in areas.items()), key=lambda item: (item[0], item[1])
    )


def noise_lines(areas: Iterable[tuple[float, int, SearchedArea]]) -> Iterator[str]:
    """Yield the number of negative peaks in Stokes I, seen and expected, and the bands whose noise is not Gaussian.

    Parameters
    ----------
    areas
        Central frequency [Hz], FITS code of the Stokes parameter, and searched area of each band. Negative sources of
        other Stokes parameters show no noise.
    """
    in_i = [(frequency, stokes, area) for frequency, stokes, area in areas if stokes == STOKES["I"] and area.n_pixels]
    if not in_i:
        return
    total = sum((area for _, _, area in in_i), SearchedArea())
    expected = sum(area.expected_negative for _, _, area in in_i)
    yield (
        f"{count(total.n_negative, 'negative peak')} below -{number(total.threshold)} σ, "
        f"{chance_text(expected)} expected of Gaussian noise"
    )
    for frequency, stokes, area in in_i:
        if area.has_wide_tails:
            yield (
                f"  at {megahertz(frequency)} MHz, Stokes {stokes_letter(stokes)}, the noise is not Gaussian: "
                f"{area.n_negative} seen, {chance_text(area.expected_negative)} expected; "
                "candidates near them are graded by their depths"
            )
