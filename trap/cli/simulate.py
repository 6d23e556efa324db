"""``transients simulate``: write a survey with known truth."""

from __future__ import annotations

import glob
from typing import TYPE_CHECKING, Any

from trap.cli.terminal import command, reported_errors
from trap.errors import ConfigError
from trap.escapes import plain_text
from trap.report.text import count
from trap.simulation.survey import SurveyConfig, foreign_images, simulate_survey

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
    """Return the simulator's settings; arguments that are None keep their defaults.

    Raises
    ------
    ConfigError
        If the value of a setting is invalid.
    """
    settings: dict[str, Any] = {
        setting: getattr(arguments, option)
        for option, setting in _SETTINGS.items()
        if getattr(arguments, option, None) is not None
    }
    return SurveyConfig(**settings)


def simulate(arguments: Namespace) -> int:
    """Write the images and the truth, and print a summary.

    Raises
    ------
    ConfigError
        If the value of a setting is invalid, or the directory cannot be written or holds other images.
    """
    config = survey_config(arguments)
    others = foreign_images(arguments.directory)
    if others:
        msg = (
            f"{arguments.directory} holds {count(len(others), 'other image')} with names of simulated images, such as "
            f"{others[0].name}, which a run over t*.fits would include; remove them, or choose another folder"
        )
        raise ConfigError(msg)
    with reported_errors(arguments.directory):
        survey = simulate_survey(arguments.directory, config)
    kinds = list(survey.truth.sources["kind"])
    sources = ", ".join(f"{kinds.count(kind)} {kind}" for kind in ("steady", "variable", "transient"))
    print(plain_text(f"{count(len(survey.images), 'image')} in {survey.directory}; sources: {sources}"))
    print(plain_text(f"now: {command('run', '--images', f'{glob.escape(str(survey.directory))}/t*.fits')}"))
    return 0
