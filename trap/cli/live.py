"""``transients live``: process a stream of images as they arrive, and print a summary."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, cast

from pydantic import ValidationError

from trap.cli.run import effective_config, load_runner, start_logs
from trap.cli.terminal import RESUME_HINT, command, interrupts_end_at_once
from trap.config import LiveConfig
from trap.config.monitors import load_monitors
from trap.errors import ConfigError
from trap.escapes import plain_lines
from trap.images.patterns import path_text
from trap.report.text import count

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable, Iterator
    from types import FrameType

    from trap.catalogues import MonitorPositions
    from trap.config import PipelineConfig
    from trap.live.tally import LiveTally

__all__ = ["LiveRunner", "find_live_runner", "live", "live_text"]

LIVE_RUNNERS = "trap.live_runners"
"""Group of the entry points that are a :class:`LiveRunner`."""


class LiveRunner(Protocol):
    """A way to process a stream of images, such as :func:`trap.live.live_run.run_live_locally`."""

    def __call__(
        self,
        config: PipelineConfig,
        live: LiveConfig,
        *,
        monitors: MonitorPositions | None = None,
        is_stopped: Callable[[], bool] = ...,
    ) -> LiveTally:
        """Process images as they arrive, and return the tally of the run."""


def live(arguments: Namespace) -> int:
    """Process images as they arrive until the run is stopped or the source ends, and print a summary.

    Returns
    -------
    The exit code, see :class:`trap.dataset.outcomes.ExitCode`.

    Raises
    ------
    TrapError
        If the run cannot start, or has to stop.
    """
    config, settings = effective_config(arguments), live_config(arguments)
    monitors = None if arguments.monitor is None else load_monitors(arguments.monitor)
    with interrupts_end_at_once(RESUME_HINT):
        runner = find_live_runner("local" if arguments.no_prefect else "prefect")
    start_logs(config, arguments)
    with stopped_by_signals() as is_stopped:
        tally = runner(config, settings, monitors=monitors, is_stopped=is_stopped)
    print(live_text(tally, config.execution.database))
    return int(tally.exit_code)


def find_live_runner(name: str) -> LiveRunner:
    """Load a way to process a stream of images by its name.

    Raises
    ------
    ConfigError
        If no installed package has a live runner of that name.
    """
    return cast("LiveRunner", load_runner(LIVE_RUNNERS, name))


def live_config(arguments: Namespace) -> LiveConfig:
    """Return the settings of live mode; arguments that are None keep their defaults.

    Raises
    ------
    ConfigError
        If the value of a setting is invalid.
    """
    values = {name: getattr(arguments, name, None) for name in LiveConfig.model_fields}
    values |= {name: path_text(value) for name, value in values.items() if isinstance(value, str)}
    try:
        return LiveConfig(**{name: value for name, value in values.items() if value is not None})
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, item['loc']))}: {item['msg']}".lstrip(": ") for item in error.errors())
        msg = "; ".join(problems)
        raise ConfigError(msg) from error


@contextmanager
def stopped_by_signals() -> Iterator[Callable[[], bool]]:
    """Stop after the current timestep on the first SIGINT or SIGTERM; a second SIGINT stops immediately."""
    stopping = threading.Event()

    def stop(_number: int, _frame: FrameType | None) -> None:
        stopping.set()
        signal.signal(signal.SIGINT, signal.default_int_handler)

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stopping.is_set
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def live_text(tally: LiveTally, database: str) -> str:
    """Return the summary of a live run: timesteps, images left out with their reasons, and lag.

    Parameters
    ----------
    tally
        Counts of the run.
    database
        URL of the database, for the hint that is printed last.
    """
    stored, candidates = count(tally.stored, "timestep"), count(tally.candidates, "transient candidate")
    lines = [
        f"dataset {tally.dataset_id}: {stored} stored, {tally.accepted} images accepted, {candidates}",
        f"lag: {tally.lag_mean:.2f} s on average, {tally.lag_max:.2f} s at most",
    ]
    if tally.incomplete:
        lines.append(f"{count(tally.incomplete, 'timestep')} closed by the clock")
    if tally.failed:
        lines.append(f"{count(tally.failed, 'timestep')} failed, and not in the database")
    if tally.known:
        lines.append(f"{count(tally.known, 'image')} known before")
    if tally.unassociated:
        lines.append(f"{count(tally.unassociated, 'late image')} stored, in no light curve")
    if tally.left_out:
        lines.append(
            f"{count(tally.left_out, 'image')} left out: {tally.rejected} rejected or unreadable, {tally.late} late, "
            f"{tally.behind} to keep up"
        )
        lines += [f"  {url}: {reason}" for url, reason in tally.examples]
        if tally.left_out > len(tally.examples):
            lines.append(f"  … and {tally.left_out - len(tally.examples)} more, which the log names")
    lines.append(f"now: {command('candidates', tally.dataset_id, '--database', database)}")
    lines.append(f"     {command('serve', database)}")
    return plain_lines(lines)
