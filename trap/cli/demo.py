"""``transients demo``: run the pipeline on a simulated survey and compare the results with the truth."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import numpy as np

from trap.cli.database import reading_database
from trap.cli.run import process
from trap.cli.simulate import survey_config
from trap.cli.terminal import command, program, reported_errors
from trap.config import PipelineConfig
from trap.dataset.outcomes import ExitCode
from trap.db import lightcurves
from trap.escapes import plain_lines, plain_text
from trap.kernels.compiled import is_compiled
from trap.report.comparison import comparison_text
from trap.report.plots import LightCurve, plot_eta_v, plot_light_curves, save_figure
from trap.report.run_summary import run_text
from trap.report.text import count
from trap.simulation.comparison import Comparison, Injected, compare, nearest
from trap.simulation.survey import simulate_survey

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from trap.db.engine import Connection
    from trap.simulation.survey import Survey, SurveyConfig
    from trap.typing import Columns


__all__ = ["demonstrate", "run_demo"]


def run_demo(arguments: Namespace) -> int:
    """Simulate a survey, process it, and print the comparison of injected and recovered sources.

    Every demo adds a dataset to the same database.

    Returns
    -------
    int
        0 if all clear transients and variables were found and no false ones; else 1.

    Raises
    ------
    TrapError
        If the survey cannot be simulated or processed.
    """
    return 1 if demonstrate(arguments, PipelineConfig()) else 0


def demonstrate(arguments: Namespace, settings: PipelineConfig) -> list[str]:
    """Run the demo with other settings than the defaults.

    Parameters
    ----------
    arguments
        Arguments of ``transients demo``.
    settings
        Settings of the pipeline. The demo replaces images, database and dataset.

    Returns
    -------
    Unmet demands, one sentence each.

    Raises
    ------
    TrapError
        If the survey cannot be simulated or processed.
    """
    directory, sky = arguments.directory, survey_config(arguments)
    with reported_errors(directory):
        survey = simulate_survey(directory / "images", sky)
    images, sources = count(len(survey.images), "image"), count(len(survey.truth.sources), "source")
    waits = [] if is_compiled() else ["compiling, once, takes half a minute"]
    waits += [] if arguments.no_prefect else ["starting a Prefect server takes half a minute, unless one runs already"]
    print("; ".join([f"simulated {images} of {sources}, now processing them", *waits]), flush=True)
    config = _pipeline_config(settings, directory, survey)
    start = time.perf_counter()
    summary = process(config, arguments)
    print(f"processed in {time.perf_counter() - start:.1f} s\n", flush=True)
    with reading_database(config.execution.database) as connection:
        comparison = _compare(connection, summary.dataset_id, survey, sky, config)
        _draw(connection, summary.dataset_id, survey, sky, comparison)
    print(f"{comparison_text(comparison)}\n")
    print(run_text(summary, config.execution.database, program=program()))
    print(plain_lines([f"light curves: {directory / 'lightcurves.png'}", f"η against V: {directory / 'eta_v.png'}"]))
    problems = [*_left_out(summary.exit_code), *comparison.problems]
    print("\n".join(f"PROBLEM: {problem}" for problem in problems) or "no problems")
    print(plain_text(f"now: {command('serve', directory / 'trap.db', '--open')}"))
    return problems


def _pipeline_config(settings: PipelineConfig, directory: Path, survey: Survey) -> PipelineConfig:
    return settings.with_options(
        persistence={"description": "demo: a simulated survey", "dataset_id": -1},
        execution={"database": f"sqlite:///{directory / 'trap.db'}", "images": [str(path) for path in survey.images]},
    )


def _left_out(exit_code: ExitCode) -> list[str]:
    return [] if exit_code == ExitCode.COMPLETE else ["the run left out some of the simulated images"]


def _compare(
    connection: Connection, dataset_id: int, survey: Survey, sky: SurveyConfig, config: PipelineConfig
) -> Comparison:
    """Compare the truth of the survey with the running catalogue and the candidates of the dataset."""
    transients = lightcurves.transients(connection, dataset_id)
    entries = _all_entries(connection, dataset_id)
    return compare(
        survey.truth,
        entries={**entries, "ra": entries["wm_ra"], "dec": entries["wm_decl"]},
        candidates={
            "ra": transients["wm_ra"],
            "dec": transients["wm_decl"],
            "taustart_ts": transients["taustart_ts"],
            "significance": transients["det_sigma"],
            "grade": transients["grade"],
        },
        timesteps=_timesteps(sky),
        radius=sky.beam.bmaj,
        detection_threshold=config.source_extraction.detection_threshold,
    )


def _all_entries(connection: Connection, dataset_id: int) -> Columns:
    """Read V and η of all entries, variable or not."""
    return lightcurves.variables(
        connection, dataset_id, min_v=-np.inf, min_eta=-np.inf, min_datapoints=1, limit=1_000_000
    )


def _timesteps(sky: SurveyConfig) -> NDArray[np.datetime64]:
    start = np.datetime64(sky.start.replace(tzinfo=None), "us")
    return start + np.round(np.arange(sky.n_timesteps) * sky.cadence_seconds * 1e6).astype("m8[us]")


def _draw(connection: Connection, dataset_id: int, survey: Survey, sky: SurveyConfig, comparison: Comparison) -> None:
    """Draw the light curves of the injected transients and variables, and η against V of all entries."""
    directory = survey.directory.parent
    curves = list(_light_curves(connection, dataset_id, survey, sky, comparison))
    with reported_errors(directory):
        if curves:
            save_figure(plot_light_curves(curves), directory / "lightcurves.png")
        entries = _all_entries(connection, dataset_id)
        labels = _kinds(survey, entries, sky.beam.bmaj)
        save_figure(plot_eta_v(entries["v_int"], entries["eta_int"], labels), directory / "eta_v.png")


def _light_curves(
    connection: Connection, dataset_id: int, survey: Survey, sky: SurveyConfig, comparison: Comparison
) -> Iterator[LightCurve]:
    """Yield the measured light curves of the injected transients and variables that were found."""
    names = list(survey.truth.sources["name"])
    flux = np.asarray(survey.truth.lightcurves["flux"], float).reshape(len(names), sky.n_timesteps, sky.n_bands)
    sources: tuple[Injected, ...] = (*comparison.transients, *comparison.variables)
    for source in sources:
        near = lightcurves.entries_near(connection, dataset_id, source.ra, source.dec, radius=sky.beam.bmaj)
        if len(near["id"]):
            injected = flux[names.index(source.name)]
            truth = {freq / 1e6: (_timesteps(sky), injected[:, band]) for band, freq in enumerate(sky.frequencies_hz)}
            points = lightcurves.light_curve(connection, int(near["id"][0]))
            yield LightCurve.of_points(f"{source.name}, {source.shape}", points, truth=truth)


def _kinds(survey: Survey, entries: Columns, radius: float) -> NDArray[np.str_]:
    """Return the kind of the source injected at each entry."""
    sources = survey.truth.sources
    rows = nearest(
        entries["wm_ra"], entries["wm_decl"], np.asarray(sources["ra"]), np.asarray(sources["dec"]), radius=radius
    )
    kinds: NDArray[np.str_] = np.where(rows >= 0, np.asarray(sources["kind"])[rows], "nothing injected")
    return kinds
