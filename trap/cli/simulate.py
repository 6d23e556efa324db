"""``trap simulate``: a survey on disk whose truth is known."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING, Any

from trap.cli.files import reported
from trap.cli.program import command
from trap.report.text import count
from trap.simulation.survey import SurveyConfig, simulate_survey

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["simulate", "survey_config"]

_SETTINGS = {
    "timesteps": "n_timesteps",
    "bands": "n_bands",
    "size": "size",
    "seed": "seed",
    "steady": "n_steady",
    "variables": "n_variables",
    "transients": "n_transients",
    "close_pairs": "n_close_pairs",
    "rms": "rms",
    "flux_scale_jitter": "flux_scale_jitter",
    "astrometric_jitter": "astrometric_jitter_arcsec",
}


def survey_config(arguments: Namespace) -> SurveyConfig:
    """Make the simulator's settings of the arguments that were given; the rest keep their defaults.

    Raises
    ------
    ConfigError
        If a setting is impossible.
    """
    given: dict[str, Any] = {
        setting: getattr(arguments, option)
        for option, setting in _SETTINGS.items()
        if getattr(arguments, option, None) is not None
    }
    return SurveyConfig(**given)


def simulate(arguments: Namespace) -> int:
    """Write the images and the truth, and say what is in them.

    Raises
    ------
    ConfigError
        If a setting is impossible, or the directory cannot be written.
    """
    config = survey_config(arguments)
    with reported(arguments.directory):
        survey = simulate_survey(arguments.directory, config)
    kinds = list(survey.truth.sources["kind"])
    sources = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("steady", "variable", "transient"))
    print(f"{count(len(survey.images), 'image')} in {survey.directory}; sources: {sources}")
    print(f"now: {command('run', '--images', f'{glob.escape(str(survey.directory))}/t*.fits')}")
    return 0
