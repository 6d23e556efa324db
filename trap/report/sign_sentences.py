"""Signs of artefacts as sentences, for people who decide about a candidate."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from trap.report.text import number
from trap.signs import Signs
from trap.vetting.score import sign_words

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SENTENCES", "sign_sentences"]

SENTENCES: Mapping[str, str] = {
    "bright": "A source {bright_ratio} times as bright lies {bright_distance} beams away: its sidelobes may reach the "
    "candidate.",
    "ring": "The candidate is only {ring_sigma} σ above the pixels at its distance from the bright source: a ring of "
    "sidelobes explains it.",
    "mirror": "The place mirrored beyond the bright source has {mirror_ratio} of the candidate's peak: sidelobes come "
    "in such pairs.",
    "negative": "A pixel {negative_distance} beams away is negative, {negative_ratio} times as deep as the candidate "
    "is high: no source is negative.",
    "edge": "The edge of the searched area, or a gap, is {edge_distance} beams away: noise rises there.",
    "narrow": "The fit is smaller than the beam, by {shape_sigma} σ: no source is.",
    "extended": "The fit covers {beam_areas} beams, {shape_sigma} σ more than a point source: sidelobes and blends do.",
    "one-band": "Another band of the same time does not show it, by {absent_sigma} σ for any plausible spectrum.",
    "crowd": "The image has {n_in_image} candidates, this one included: a bad image makes many.",
    "gain": "The steady sources around it are brighter than usual in this image, by {local_gain} of their flux density "
    "({local_gain_sigma} σ).",
    "marginal": "It is new by {newness} σ only: errors are not Gaussian to that degree.",
}
"""Sentences by the words of :data:`trap.vetting.score.PENALTIES`, with the columns that they name."""


def sign_sentences(facts: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the signs of artefacts that a candidate has: their words and sentences, the strongest one first.

    Parameters
    ----------
    facts
        Row of :func:`trap.db.lightcurves.transients`.

    Returns
    -------
    Empty without signs.
    """
    columns = {name: np.array([value]) for name, value in facts.items()}
    signs = Signs.of_columns(columns, 1)
    height = np.abs(np.asarray(columns["det_sigma"], float))
    newness = np.asarray(columns["newness"], float)
    words = [word for word in sign_words(signs, height, newness)[0].split(", ") if word]
    values = {name: number(getattr(signs, name)[0], 3) for name in Signs.columns()} | {"newness": number(newness[0], 3)}
    return [(word, SENTENCES[word].format(**values)) for word in words]
