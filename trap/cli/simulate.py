"""``transients simulate``: write a survey with known truth."""

from __future__ import annotations

import glob
from dataclasses import fields
from typing import TYPE_CHECKING, Any

from trap.cli.terminal import command, reported_errors
from trap.errors import ConfigError
from trap.escapes import plain_text
from trap.report.text import count
from trap.simulation.survey import SurveyConfig, foreign_images, simulate_survey

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["simulate", "survey_config"]

_BEAM_NUMBERS = (2, 3)
"""Fewest and most numbers of ``--beam``."""


def survey_config(arguments: Namespace) -> SurveyConfig:
    """Return the simulator's settings; arguments that are None keep their defaults.

    Raises
    ------
    ConfigError
        If the value of a setting is invalid.
    """
    settings: dict[str, Any] = {}
    for name in (field.name for field in fields(SurveyConfig)):
        value = getattr(arguments, name, None)
        if value is not None:
            settings[name] = _range(name, value) if isinstance(value, list) else value
    centre, beam = (getattr(arguments, name, None) for name in ("centre", "beam"))
    if centre is not None:
        settings["centre_ra"], settings["centre_dec"] = centre
    config = SurveyConfig(**settings)
    if beam is None:
        return config
    if len(beam) not in _BEAM_NUMBERS:
        msg = f"--beam has a major axis, a minor axis and optionally a position angle, got {count(len(beam), 'number')}"
        raise ConfigError(msg)
    return config.with_beam(*beam)


def _range(name: str, numbers: list[float]) -> tuple[float, ...]:
    """Return the limits of a range; one number stands for both."""
    if len(numbers) > 2:
        msg = f"{name} is one number or a range, got {count(len(numbers), 'number')}"
        raise ConfigError(msg)
    return (numbers[0], numbers[-1])


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
