"""``transients deploy``, ``worker``, ``watch`` and ``ui``: commands that need Prefect.

This package never imports Prefect; the commands are entry points of installed packages, as the runners are.
"""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from trap.cli.database import database_url
from trap.config import PipelineConfig, load_config
from trap.errors import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace
    from collections.abc import Callable

    Command = Callable[[PipelineConfig, Namespace], int]

__all__ = ["run_command"]

COMMANDS = "trap.commands"


def run_command(arguments: Namespace) -> int:
    """Run the command that ``arguments.command`` names, and return its exit code.

    Raises
    ------
    ConfigError
        If no installed package offers the command, or the settings are invalid.
    """
    command = _find_command(arguments.command)
    config = PipelineConfig() if arguments.config is None else load_config(arguments.config)
    database = database_url(arguments.database, config.execution.database)
    return command(config.with_options(execution={"database": database}), arguments)


def _find_command(name: str) -> Command:
    entries = entry_points(group=COMMANDS, name=name)
    if not entries:
        msg = f"no command {name!r} is installed (entry points {COMMANDS!r}); install the project again"
        raise ConfigError(msg)
    command: Command = next(iter(entries)).load()
    return command
