"""``trap config``: the settings, written for people."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.cli.passwords import without_password
from trap.cli.program import command
from trap.config import PipelineConfig, load_config, write_config
from trap.errors import ConfigError

if TYPE_CHECKING:
    from argparse import Namespace

__all__ = ["init_config", "show_config"]


def init_config(arguments: Namespace) -> int:
    """Write all settings with their defaults and meanings.

    Raises
    ------
    ConfigError
        If the file exists and may not be overwritten, or cannot be written.
    """
    file = arguments.file
    try:
        with file.open("w" if arguments.force else "x", encoding="utf-8") as stream:
            stream.write(write_config(PipelineConfig()))
    except FileExistsError:
        msg = f"{file} exists; overwrite it with --force"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"{file}: cannot be written: {error}"
        raise ConfigError(msg) from error
    print(f"{file} written; now: {command('run', file, '--images', 'images/*.fits')}")
    return 0


def show_config(arguments: Namespace) -> int:
    """Print the settings that a run with this file would use; never a password."""
    config = PipelineConfig() if arguments.file is None else load_config(arguments.file)
    database, _ = without_password(config.execution.database)
    print(write_config(config.with_options(execution={"database": database})).rstrip("\n"))
    return 0
