"""``transients config``: write, import and show the settings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from trap.cli.passwords import without_password
from trap.cli.streams import print_utf8
from trap.cli.terminal import command
from trap.config import PipelineConfig, load_config, write_config
from trap.config.parset import config_of_parsets
from trap.config.toml import write_private
from trap.errors import ConfigError
from trap.escapes import plain_lines, plain_text

if TYPE_CHECKING:
    from argparse import Namespace
    from pathlib import Path

__all__ = ["import_config", "init_config", "show_config"]


def init_config(arguments: Namespace) -> int:
    """Write a file of all settings with their defaults and descriptions.

    Raises
    ------
    ConfigError
        If the file exists and may not be overwritten, or cannot be written.
    """
    file = arguments.file
    _write(file, write_config(PipelineConfig()), force=arguments.force)
    print(plain_text(f"{file} written; now: {command('run', file, '--images', 'images/*.fits')}"))
    return 0


def import_config(arguments: Namespace) -> int:
    """Convert the files of a TraP job into a settings file, and print the entries that have no equivalent.

    Raises
    ------
    ConfigError
        If a file cannot be read, a value is impossible, or the new file may not be written.
    """
    config, notes = config_of_parsets(arguments.files)
    _write(arguments.output, write_config(config), force=arguments.force)
    file = arguments.output
    print(plain_text(f"{file} written; now: {command('run', file, '--images', 'images/*.fits')}"))
    margin = config.transient_search.new_source_sigma_margin
    print(f"new sources are judged by TraP's own test, {margin:g} σ above the threshold in the best earlier image;")
    print("transient_search.new_source_test = 'significance' compares them with the earlier noise at their positions")
    if notes:
        print("not converted:")
        print(plain_lines(f"  {note}" for note in notes))
    return 0


def show_config(arguments: Namespace) -> int:
    """Print the settings that a run with this file would use, without passwords."""
    config = PipelineConfig() if arguments.file is None else load_config(arguments.file)
    database, _ = without_password(config.execution.database)
    text = write_config(config.with_options(execution={"database": database})).rstrip("\n")
    print_utf8(f"{text}\n".encode())
    return 0


def _write(file: Path, text: str, *, force: bool) -> None:
    """Write a settings file; an existing file is overwritten only with ``force``."""
    try:
        write_private(file, text, new=not force)
    except FileExistsError:
        msg = f"{file} exists; overwrite it with --force"
        raise ConfigError(msg) from None
    except OSError as error:
        msg = f"{file}: cannot be written: {error}"
        raise ConfigError(msg) from error
