"""The positions of the sources of a simulated survey: apart from each other, or at chosen distances."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from trap.errors import ConfigError

if TYPE_CHECKING:
    from trap.simulation.config import SurveyConfig
    from trap.typing import Array

__all__ = ["draw_positions"]

_MAX_ATTEMPTS = 2000
"""Random positions tried for a source before the field counts as full."""
_INNER_RADIUS = 0.42
"""Maximum distance of transients and variables from the centre, as a share of the image's width: many settings do not
search the corners of an image."""


def draw_positions(
    config: SurveyConfig, rng: np.random.Generator, place_rng: np.random.Generator, *, n_steady: int
) -> tuple[Array, Array]:
    """Draw the positions of all sources.

    Parameters
    ----------
    config
        Settings of the survey.
    rng
        Source of the random numbers for sources that keep their distance from all others.
    place_rng
        Source of the random numbers for sources at chosen distances from others.
    n_steady
        Number of steady sources without the companions.

    Returns
    -------
    x, y
        (n,) pix — variables, transients, steady sources (bright ones and those with a companion first), companions.

    Raises
    ------
    ConfigError
        If the field has no room for so many sources.
    """
    are_placed = config.transient_distance_beams is not None
    n_alone = config.n_variables + (0 if are_placed else config.n_transients)
    positions = _draw_apart(config, rng, n_alone + config.n_bright, n_alone + n_steady)
    paired = slice(n_alone + config.n_bright, n_alone + config.n_bright + config.n_close_pairs)
    companions = _companions(config, rng, place_rng, positions[paired])
    if are_placed:
        others = np.concatenate([positions, companions])
        transients = _beside_steady(config, place_rng, others, slice(paired.stop, len(positions)))
        positions = np.concatenate([positions[:n_alone], transients, positions[n_alone:]])
    positions = np.concatenate([positions, companions])
    return positions[:, 0], positions[:, 1]


def _draw_apart(config: SurveyConfig, rng: np.random.Generator, n_inner: int, n: int) -> Array:
    """Draw ``n`` positions, (n, 2) in pixels, that keep their distance; the first ``n_inner`` in the inner field."""
    edge = config.beam_fwhm_pix
    separation = config.min_separation_beams * config.beam_fwhm_pix
    positions = np.empty((n, 2))
    # A loop, since each source keeps its distance from all earlier ones.
    for i in range(n):
        for _ in range(_MAX_ATTEMPTS):
            position = rng.uniform(edge, config.size - 1 - edge, 2)
            is_allowed = i >= n_inner or _is_inner(config, position)
            if is_allowed and np.all(np.hypot(*(positions[:i] - position).T) > separation):
                positions[i] = position
                break
        else:
            msg = (
                f"no room for {n} sources {config.min_separation_beams} beams apart on {config.size}² pixels; set "
                "fewer sources (n_steady) or a smaller distance (min_separation_beams)"
            )
            raise ConfigError(msg)
    return positions


def _is_inner(config: SurveyConfig, position: Array) -> bool:
    """Return whether a position lies in the inner field."""
    middle = (config.size - 1) / 2
    return bool(np.hypot(*(position - middle)) < _INNER_RADIUS * config.size)


def _companions(
    config: SurveyConfig, rng: np.random.Generator, place_rng: np.random.Generator, partners: Array
) -> Array:
    """Draw a companion of each partner, (n, 2) in pixels, in a random direction but inside the image."""
    angle = rng.uniform(0, 2 * np.pi, len(partners))
    distance = config.beam_fwhm_pix * place_rng.uniform(*config.close_pair_beams, len(partners))
    offset = np.column_stack([distance * np.cos(angle), distance * np.sin(angle)])
    companions = partners + offset
    is_outside = (companions < 0) | (companions > config.size - 1)
    return np.where(is_outside, partners - offset, companions)


def _beside_steady(config: SurveyConfig, rng: np.random.Generator, others: Array, steady: slice) -> Array:
    """Place the transients, (n, 2) in pixels, each at a distance from a steady source of its own.

    ``steady`` selects the sources without companions from ``others``. The steady source is the nearest source, and
    transients are farther from each other than from it.
    """
    low, high = np.array(config.transient_distance_beams) * config.beam_fwhm_pix
    separation = config.min_separation_beams * config.beam_fwhm_pix
    places = np.empty((0, 2))
    for row in rng.permutation(np.arange(len(others))[steady]):
        if len(places) == config.n_transients:
            break
        distance, angle = rng.uniform(low, high), rng.uniform(0, 2 * np.pi)
        place = others[row] + distance * np.array([np.cos(angle), np.sin(angle)])
        to_others = np.hypot(*(np.delete(others, row, axis=0) - place).T)
        to_places = np.hypot(*(places - place).T)
        is_apart = np.all(to_others > max(distance, separation)) and np.all(to_places > max(high, separation))
        if is_apart and _is_inner(config, place):
            places = np.vstack([places, place])
    if len(places) < config.n_transients:
        msg = (
            f"room for {len(places)} of {config.n_transients} transients at {low / config.beam_fwhm_pix:g} to "
            f"{high / config.beam_fwhm_pix:g} beams from steady sources and {config.min_separation_beams} beams from "
            "others; set fewer transients (n_transients) or a smaller distance (min_separation_beams)"
        )
        raise ConfigError(msg)
    return places
