"""The score of a candidate from its signs, and the words that name them.

Every sign multiplies the odds that the candidate is false by a factor, which rises from 1 for a harmless value to a
limit for a clear one. The factors are not probabilities measured anywhere: they are ordered by how well a sign
separates artefacts from transients, and their limits keep a single sign from deciding alone unless it is a proof.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from trap.signs import Signs
from trap.vetting.neighbours import sidelobe_danger

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import ArrayLike, NDArray

    from trap.typing import Array, Columns

__all__ = ["FEWEST_PEAKS", "PENALTIES", "Penalty", "named_signs", "penalties", "score_candidates", "sign_words"]

FEWEST_PEAKS = 1e-3
"""Expected number of peaks of noise below which a number counts as this one: artefacts may have any height, so that a
high peak is no excuse for a sign."""


class Penalty(NamedTuple):
    """A sign in the score: its word, and the logarithm of the factor that it multiplies the odds by.

    Parameters
    ----------
    word
        Name in lists of candidates.
    limit
        Natural logarithm of the largest factor.
    named
        Share of the limit from which the sign is named.
    """

    word: str
    limit: float
    named: float = 0.5


PENALTIES: Mapping[str, Penalty] = {
    "bright": Penalty("bright", 1.5),
    "ring": Penalty("ring", 6.0),
    "mirror": Penalty("mirror", 6.0),
    "negative": Penalty("negative", 4.0),
    "edge": Penalty("edge", 2.0),
    "narrow": Penalty("narrow", 4.0),
    "extended": Penalty("extended", 2.0),
    "crowd": Penalty("crowd", 1.0),
    "absent": Penalty("one-band", 1.5),
    "gain": Penalty("gain", 2.0),
    "newness": Penalty("marginal", 2.0),
}
"""The signs in the score. Limits, with their reasons:

* ring, mirror (6): the strongest ones. A candidate as high as other excursions at the same distance needs no other
  explanation; and only a sidelobe has another one of like height at the place mirrored at the bright source.
* negative (4): a strong negative peak nearby is no chance, but deconvolution leaves negative bowls around sources.
* narrow (4): no source is narrower than the beam; fits of blends are, now and then.
* edge, extended, gain (2): they make artefacts, and are common near true sources too.
* newness (2): it assumes Gaussian errors. Real ones have tails, which lift one of many steady sources over its limit.
* bright, absent (1.5): reasons to look twice. A source near a bright one may be true, and there are narrow-band bursts.
* crowd (1): many in one image are suspicious, but bad images must not sink the one true candidate in them.
"""


def penalties(signs: Signs, signal_to_noise: ArrayLike, newness: ArrayLike) -> dict[str, Array]:
    """Compute the share of its limit that each sign of candidates reaches, from 0 to 1.

    Parameters
    ----------
    signs
        (n,) — signs; those that are NaN give 0.
    signal_to_noise
        (n,) — peaks of the candidates over the local noise, positive.
    newness
        (n,) σ — significance of being new; NaN gives 0.

    Returns
    -------
    (n,) each, by the names of :data:`PENALTIES`.
    """
    height = np.asarray(signal_to_noise, float)
    with np.errstate(divide="ignore", invalid="ignore"):
        danger = np.log10(sidelobe_danger(signs.bright_ratio, signs.bright_distance))
        mirror = np.abs(signs.mirror_ratio)
        return {
            "bright": _ramp(danger, -0.5, 0.5),
            # Of the rings with 40 independent Gaussian values, 1 in 20,000 exceeds 5 times its rms by chance.
            "ring": _ramp(signs.ring_sigma, 5.0, 3.0),
            # The second factor keeps noise out, whose extremes near a faint candidate are of like height.
            "mirror": _ramp(mirror, 0.3, 0.7) * _ramp(mirror * height, 3.5, 5.5),
            "negative": _ramp(signs.negative_ratio, 0.3, 0.7) * _ramp(signs.negative_ratio * height, 4.0, 6.0),
            "edge": _ramp(signs.edge_distance, 2.0, 0.5),
            "narrow": _ramp(signs.shape_sigma, -3.0, -6.0),
            "extended": _ramp(signs.shape_sigma, 3.0, 8.0),
            "crowd": _ramp(np.log10(signs.n_in_image), math.log10(3), math.log10(30)),
            "absent": _ramp(signs.absent_sigma, 3.0, 8.0),
            "gain": _ramp(signs.local_gain_sigma, 3.0, 6.0) * _ramp(signs.local_gain, 0.0, 0.5),
            "newness": _ramp(np.asarray(newness, float), 8.0, 5.0),
        }


def score_candidates(signs: Signs, signal_to_noise: ArrayLike, newness: ArrayLike, noise_peaks: ArrayLike) -> Array:
    """Compute the score of candidates.

    With the expected number N of peaks of noise as high as the candidate, at least :data:`FEWEST_PEAKS`, and the share
    p of the limit L that each sign reaches, the odds against the candidate are N exp(Σ p L), and

        score = 1 / (1 + N exp(Σ p L)).

    The score falls with each sign and with N.

    Parameters
    ----------
    signs
        (n,) — signs.
    signal_to_noise, newness
        (n,) — as for :func:`penalties`.
    noise_peaks
        (n,) — expected numbers of peaks of noise; NaN counts as none.

    Returns
    -------
    (n,) — 0 to 1.
    """
    n_peaks = np.fmax(np.asarray(noise_peaks, float), FEWEST_PEAKS)
    shares = penalties(signs, signal_to_noise, newness)
    total = sum((PENALTIES[name].limit * share for name, share in shares.items()), np.zeros(len(signs)))
    score: Array = 1 / (1 + n_peaks * np.exp(total))
    return score


def sign_words(signs: Signs, signal_to_noise: ArrayLike, newness: ArrayLike) -> list[str]:
    """Name the signs of candidates that reach the share of their limit from which they are named.

    Parameters
    ----------
    signs, signal_to_noise, newness
        As for :func:`penalties`.

    Returns
    -------
    (n,) — words separated by commas, the strongest penalty first; empty without signs.
    """
    shares = penalties(signs, signal_to_noise, newness)
    order = sorted(PENALTIES, key=lambda name: -PENALTIES[name].limit)
    is_named: Mapping[str, NDArray[np.bool_]] = {name: shares[name] >= PENALTIES[name].named for name in order}
    return [", ".join(PENALTIES[name].word for name in order if is_named[name][row]) for row in range(len(signs))]


def named_signs(columns: Columns) -> list[str]:
    """Name the signs of candidates of a query, as :func:`sign_words` does.

    Parameters
    ----------
    columns
        (n,) values by name: ``det_sigma``, ``newness``, and the signs, which datasets of earlier versions do not have.
    """
    height = np.abs(np.asarray(columns["det_sigma"], float))
    return sign_words(Signs.of_columns(columns, len(height)), height, columns["newness"])


def _ramp(values: Array, harmless: float, clear: float) -> Array:
    """Return 0 up to the harmless value, 1 from the clear one, and a straight line between them; 0 for NaN."""
    share: Array = np.nan_to_num(np.clip((values - harmless) / (clear - harmless), 0.0, 1.0), nan=0.0)
    return share
