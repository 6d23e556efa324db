"""The sky of a simulated survey: positions, spectra and light curves of its sources."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from trap.errors import ConfigError
from trap.simulation.counts import HOPKINS_2003, MANDAL_2021
from trap.simulation.positions import draw_positions

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from trap.simulation.config import SurveyConfig
    from trap.typing import Array

    LightCurve = Callable[[np.random.Generator, int], Array]

__all__ = ["Sky", "draw_sky"]

_COUNTS = {"hopkins2003": HOPKINS_2003, "mandal2021": MANDAL_2021}
_SPECTRAL_INDEX = (-0.8, 0.2)
"""Mean and standard deviation of the spectral indices."""
_DOUBLED = 2.0
"""Flux density of a doubled source over its earlier one."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Sky:
    """The sources of a survey.

    Parameters
    ----------
    name
        (n,) — identifiers.
    kind
        (n,) — ``steady``, ``variable`` or ``transient``.
    shape
        (n,) — forms of the light curves.
    x, y
        (n,) pix — positions; the centre of the first pixel is (0, 0).
    spectral_index
        (n,) — α of S ∝ ν^α.
    flux
        (n, n_timesteps, n_bands) Jy — flux densities.
    """

    name: NDArray[Any]
    kind: NDArray[Any]
    shape: NDArray[Any]
    x: Array
    y: Array
    spectral_index: Array
    flux: Array


def draw_sky(config: SurveyConfig, rng: np.random.Generator) -> Sky:
    """Draw the sources of a survey: variables first, then transients, steady sources and their companions.

    Parameters
    ----------
    config
        Settings of the survey.
    rng
        Source of the random numbers.

    Raises
    ------
    ConfigError
        If the field has no room for so many sources.
    """
    # Close pairs have numbers of their own, so that they do not change the other sources.
    pair_rng, place_rng = rng.spawn(2)
    shapes = [*_cycle(_VARIABLES, config.n_variables), *_cycle(_TRANSIENTS, config.n_transients)]
    n_special = len(shapes)
    steady = _draw_steady(config, rng)
    _set_pairs(config, pair_rng, steady)
    x, y = draw_positions(config, rng, place_rng, n_steady=len(steady) - config.n_close_pairs)
    index = rng.normal(*_SPECTRAL_INDEX, len(x))
    # (n, n_bands) — flux density relative to the first band.
    spectra = (np.array(config.frequencies_hz) / config.frequency_hz) ** index[:, np.newaxis]
    # (n, n_timesteps) — flux density in the first band.
    curves = np.concatenate(
        [
            _variable_curves(config, rng, spectra[: config.n_variables]),
            _transient_curves(config, rng, spectra[config.n_variables : n_special]),
            np.repeat(steady[:, np.newaxis], config.n_timesteps, axis=1),
        ]
    )
    kinds = np.repeat(["variable", "transient", "steady"], [config.n_variables, config.n_transients, len(steady)])
    forms = np.array([*shapes, *["steady"] * len(steady)], dtype="U16")
    doubled = n_special + _draw_doubled(config, pair_rng, len(steady))
    curves[doubled, config.doubling_timestep :] *= _DOUBLED
    kinds[doubled], forms[doubled] = "variable", "doubled"
    return Sky(
        name=_names(kinds),
        kind=kinds,
        shape=forms,
        x=x,
        y=y,
        spectral_index=index,
        flux=curves[:, :, np.newaxis] * spectra[:, np.newaxis, :],
    )


def _draw_steady(config: SurveyConfig, rng: np.random.Generator) -> Array:
    """Draw the flux densities of the steady sources, (n,) in Jy in the first band.

    Bright sources come first, then sources that have a close companion, others, and the companions in the same order.
    """
    counts = _COUNTS[config.counts]
    # Factor from the first band to the frequency of the counts, for the mean spectral index.
    to_counts = (config.frequency_hz / counts.frequency_hz) ** -_SPECTRAL_INDEX[0]
    low, high = (sigma * config.rms * to_counts for sigma in config.steady_sigma)
    n = config.n_steady
    if n is None:
        n = int(rng.poisson(counts.number(low, high) * config.area_sr))
    if config.n_close_pairs > n:
        msg = f"n_close_pairs {config.n_close_pairs} is more than the number of steady sources: {n}"
        raise ConfigError(msg)
    flux = counts.draw(rng, n + config.n_close_pairs, low, high) / to_counts
    bright: Array = np.full(config.n_bright, config.bright_sigma * config.rms)
    return np.concatenate([bright, flux])


def _set_pairs(config: SurveyConfig, rng: np.random.Generator, steady: Array) -> None:
    """Set the flux densities of close pairs in ``steady``, as :func:`_draw_steady` returns it, if they have a range."""
    n = config.n_close_pairs
    if config.close_pair_sigma is None or not n:
        return
    low, high = np.log(config.close_pair_sigma)
    brighter = rng.uniform(low, high, n)
    # The fainter member stays in the range as well.
    fainter = brighter - rng.random(n) * np.minimum(np.log(config.close_pair_ratio), brighter - low)
    is_swapped = rng.random(n) < 1 / 2
    members = np.where(is_swapped, [fainter, brighter], [brighter, fainter])
    steady[config.n_bright : config.n_bright + n] = config.rms * np.exp(members[0])
    steady[len(steady) - n :] = config.rms * np.exp(members[1])


def _draw_doubled(config: SurveyConfig, rng: np.random.Generator, n_steady: int) -> NDArray[np.intp]:
    """Draw the members of close pairs that double, as rows of the steady sources; never both members of a pair."""
    pairs = rng.permutation(config.n_close_pairs)[: config.n_doubled]
    is_companion = rng.random(len(pairs)) < 1 / 2
    first = np.where(is_companion, n_steady - config.n_close_pairs, config.n_bright)
    return np.asarray(first + pairs, np.intp)


def _variable_curves(config: SurveyConfig, rng: np.random.Generator, spectra: Array) -> Array:
    """Draw light curves of variables, (n, n_timesteps) in Jy in the first band; ``spectra`` is (n, n_bands)."""
    # The mean is set in the faintest band.
    means = _spread(config.variable_sigma, len(spectra)) * config.rms / spectra.min(axis=1, initial=np.inf)
    curves = np.empty((len(spectra), config.n_timesteps))
    for i, shape in enumerate(_cycle(_VARIABLES, len(spectra))):
        curve = _VARIABLES[shape](rng, config.n_timesteps)
        modulation = rng.uniform(*config.modulation)
        curves[i] = means[i] * (1 + modulation * (curve - curve.mean()) / curve.std(ddof=1))
    return curves


def _transient_curves(config: SurveyConfig, rng: np.random.Generator, spectra: Array) -> Array:
    """Draw light curves of transients, (n, n_timesteps) in Jy in the first band; zero in the first timestep."""
    # The peak is set in the brightest band.
    peaks = _spread(config.transient_sigma, len(spectra)) * config.rms / spectra.max(axis=1, initial=0.0)
    curves = np.zeros((len(spectra), config.n_timesteps))
    for i, shape in enumerate(_cycle(_TRANSIENTS, len(spectra))):
        first = int(rng.integers(max(1, config.n_timesteps // 6), max(2, config.n_timesteps * 2 // 3)))
        n_remaining = config.n_timesteps - first
        curves[i, first:] = peaks[i] * _TRANSIENTS[shape](rng, config.n_timesteps)[:n_remaining]
    return curves


def _spread(limits: tuple[float, float], n: int) -> Array:
    """Return ``n`` values from the lower to the upper limit, in equal ratios."""
    return np.geomspace(*limits, n)


def _cycle(shapes: dict[str, LightCurve], n: int) -> list[str]:
    """Return ``n`` names of light curves, each in turn."""
    names = list(shapes)
    return [names[i % len(names)] for i in range(n)]


def _names(kinds: NDArray[Any]) -> NDArray[Any]:
    """Name the sources S0001, S0002, … V0001 …: first letter of the kind and number within it."""
    numbers = np.zeros(len(kinds), int)
    for kind in np.unique(kinds):
        numbers[kinds == kind] = np.arange(1, np.count_nonzero(kinds == kind) + 1)
    return np.array([f"{kind[0].upper()}{number:04d}" for kind, number in zip(kinds, numbers, strict=True)])


# Light curves of variables over n timesteps. Scale and offset are arbitrary. The curves are not constant, and bounded
# on both sides, so they stay positive with a modulation of at most a half.


def _periodic(rng: np.random.Generator, n: int) -> Array:
    """Draw two to four periods of a sine, few enough to be well sampled."""
    turns = rng.uniform(2, 4) if n > 8 else 0.5
    sine: Array = np.sin(2 * np.pi * turns * np.arange(n) / n + rng.uniform(0, 1))
    return sine


def _flare(rng: np.random.Generator, n: int) -> Array:
    """Draw one rise and fall, over about a sixth of the survey."""
    bump: Array = np.exp(-0.5 * ((np.arange(n) - rng.uniform(0.3, 0.7) * n) / (n / 6)) ** 2)
    return bump


def _step(rng: np.random.Generator, n: int) -> Array:
    """Draw a permanent change from one level to another."""
    return np.where(np.arange(n) < max(1, round(rng.uniform(0.35, 0.65) * n)), 1.0, 0.0)


def _drift(rng: np.random.Generator, n: int) -> Array:
    """Draw a linear rise or decline."""
    slope: Array = np.arange(n, dtype=float) * rng.choice([-1, 1])
    return slope


# Light curves of transients over n timesteps from their first appearance, where they peak at 1.


def _fast(_rng: np.random.Generator, n: int) -> Array:
    """Return an appearance in a single timestep."""
    return np.where(np.arange(n) == 0, 1.0, 0.0)


def _lasting(_rng: np.random.Generator, n: int) -> Array:
    """Return a decay by a factor e over a quarter of the survey."""
    fading: Array = np.exp(-np.arange(n) / max(2, n / 4))
    return fading


def _recurring(_rng: np.random.Generator, n: int) -> Array:
    """Return a source that is on for a twelfth of the survey, off for a sixth, and so on."""
    on = max(1, n // 12)
    return np.where(np.arange(n) % (3 * on) < on, 1.0, 0.0)


_VARIABLES: dict[str, LightCurve] = {"periodic": _periodic, "flare": _flare, "step": _step, "drift": _drift}
_TRANSIENTS: dict[str, LightCurve] = {"fast": _fast, "lasting": _lasting, "recurring": _recurring}
