"""``transients run``: process images into a dataset, and print a summary."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol, cast

import structlog

from trap.cli.database import database_url
from trap.cli.progress import progress_bar
from trap.cli.terminal import RESUME_HINT, command, interrupts_end_at_once, program
from trap.config import PipelineConfig, load_config
from trap.config.monitors import load_monitors
from trap.errors import ConfigError
from trap.images.patterns import path_of, path_text
from trap.kernels.compiled import is_compiled
from trap.report.run_summary import run_text
from trap.retry import interrupt_behind
from trap.run.pairing_table import is_table
from trap.steps.misc import dump_configs_to_logdir, setup_logging

if TYPE_CHECKING:
    from argparse import Namespace

    from trap.catalogues import MonitorPositions
    from trap.dataset.outcomes import RunSummary
    from trap.typing import Progress

__all__ = ["Runner", "effective_config", "find_runner", "load_runner", "process", "run", "start_logs"]

log = structlog.get_logger(__name__)

RUNNERS = "trap.runners"
"""Group of the entry points that are a :class:`Runner`."""


class Runner(Protocol):
    """A way to process a dataset, such as :func:`trap.pipeline.run_locally`."""

    def __call__(
        self, config: PipelineConfig, *, monitors: MonitorPositions | None = None, progress: Progress | None = None
    ) -> RunSummary:
        """Process the images that the settings name, and return the summary of the run."""


def run(arguments: Namespace) -> int:
    """Process images and print a summary.

    Returns
    -------
    The exit code of the summary, see :class:`trap.dataset.outcomes.ExitCode`.

    Raises
    ------
    TrapError
        If the run cannot start, or has to stop.
    KeyboardInterrupt
        If the run is interrupted from the keyboard; the message explains how to continue it.
    """
    config = effective_config(arguments)
    monitors = None if arguments.monitor is None else load_monitors(arguments.monitor)
    try:
        summary = process(config, arguments, monitors=monitors)
    except BaseException as error:
        if interrupt_behind(error) is None:
            raise
        raise KeyboardInterrupt(_resume_hint(config)) from error
    print(run_text(summary, config.execution.database, program=program()))
    return int(summary.exit_code)


def process(config: PipelineConfig, arguments: Namespace, *, monitors: MonitorPositions | None = None) -> RunSummary:
    """Run the pipeline with the runner and the logs that the arguments select.

    Parameters
    ----------
    config
        All settings; the database URL without a password.
    arguments
        Parsed arguments of :func:`trap.cli.parser.make_parser`; they select the runner and the logs.
    monitors
        Positions to measure in every image.
    """
    with interrupts_end_at_once(_resume_hint(config)):
        runner = find_runner("local" if arguments.no_prefect else "prefect")
    has_bar = arguments.bar or not arguments.quiet
    with progress_bar("timesteps") if has_bar else nullcontext() as progress:
        # The progress bar must own standard error before logging starts, so that events appear above the bar.
        start_logs(config, arguments)
        if not is_compiled():
            log.info("compiling, once (about 20 s)")
        return runner(config, monitors=monitors, progress=progress)


def find_runner(name: str) -> Runner:
    """Load a way to process a dataset by its name.

    Raises
    ------
    ConfigError
        If no installed package has a runner of that name.
    """
    return cast("Runner", load_runner(RUNNERS, name))


def load_runner(group: str, name: str) -> object:
    """Load a runner among the entry points of installed packages.

    Parameters
    ----------
    group
        Group of entry points; all of a group have the same contract.
    name
        Name of the entry point.

    Raises
    ------
    ConfigError
        If no installed package has a runner of that name.
    """
    candidates = entry_points(group=group, name=name)
    if not candidates:
        msg = f"no runner {name!r} is installed (entry points {group!r}); install the project again"
        raise ConfigError(msg)
    return next(iter(candidates)).load()


def effective_config(arguments: Namespace) -> PipelineConfig:
    """Return the settings of the file, or the defaults, overridden by the command-line options."""
    config = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    execution: dict[str, Any] = {"database": database_url(arguments.database, config.execution.database)}
    if getattr(arguments, "images", None) is not None:
        execution["images"] = tuple(map(path_text, arguments.images))
    if arguments.wait:
        execution["wait_for_dataset"] = True
    number = -1 if arguments.new_dataset else arguments.dataset
    persistence: dict[str, Any] = {} if number is None else {"dataset_id": number}
    if arguments.name is not None:
        persistence |= _named(arguments)
    for name in ("dask", "metrics"):
        if getattr(arguments, name) is not None:
            execution[name] = getattr(arguments, name)
    named = getattr(arguments, "catalogues", None)
    catalogues = config.reading.catalogues if named is None else path_text(named)
    if is_table(catalogues):
        # A dataset keeps the path, and may be made again from another folder.
        catalogues = path_text(path_of(catalogues).absolute())
    reading = {"catalogues": catalogues}
    return config.with_options(execution=execution, persistence=persistence, reading=reading)


def _named(arguments: Namespace) -> dict[str, Any]:
    """Return the settings for a dataset with a name, which is also its key unless the dataset is to be a new one."""
    if arguments.dataset is not None:
        rename = command("dataset", "rename", arguments.dataset, arguments.name)
        msg = f"--name and --dataset both select a dataset; to rename dataset {arguments.dataset}: {rename}"
        raise ConfigError(msg)
    key = "" if arguments.new_dataset else arguments.name
    return {"description": arguments.name, "dataset_key": key, "dataset_id": -1 if arguments.new_dataset else 0}


def _resume_hint(config: PipelineConfig) -> str:
    if config.persistence.dataset_id != -1:
        return RESUME_HINT
    listing = command("dataset", "list", "--database", config.execution.database)
    return f"stored timesteps are kept; to continue, add --dataset and the number shown by: {listing}"


def start_logs(config: PipelineConfig, arguments: Namespace) -> None:
    """Configure logging, and write the settings to the folder of the logs.

    Parameters
    ----------
    config
        All settings.
    arguments
        Parsed arguments; ``log_dir``, ``verbose``, ``json_logs`` and ``quiet`` are used.
    """
    setup_logging(arguments.log_dir, debug=arguments.verbose, json_lines=arguments.json_logs, quiet=arguments.quiet)
    if arguments.log_dir is None:
        return
    try:
        dump_configs_to_logdir(arguments.log_dir, config)
    except OSError as error:
        # A full disk of logs is no reason to leave images unprocessed.
        log.warning("settings_not_written", folder=str(arguments.log_dir), reason=error.strerror or str(error))
