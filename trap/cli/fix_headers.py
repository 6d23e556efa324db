"""``transients fix-headers``: write header keywords into copies of images, or into the images themselves."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trap.cli.terminal import reported_errors
from trap.config import ReadingConfig
from trap.config.parset import read_parset
from trap.config.toml import parse_toml
from trap.dataset.outcomes import ExitCode
from trap.errors import ConfigError, ImageError, TransientError
from trap.escapes import plain_lines, plain_text
from trap.images.fix_headers import check_values, fix_header
from trap.images.patterns import expand_patterns, path_of

if TYPE_CHECKING:
    from argparse import Namespace

    from trap.images.fix_headers import Change

__all__ = ["fix_headers"]

_SECTIONS = ("fix-headers", "inject")


def fix_headers(arguments: Namespace) -> int:
    """Write keywords into images and print the changes.

    Returns
    -------
    0, or :attr:`trap.dataset.outcomes.ExitCode.IMAGES_LEFT_OUT` if an image could not be changed.

    Raises
    ------
    ConfigError
        If the settings are invalid, a pattern matches no file, or a copy cannot be written.
    """
    cards = check_values(_values(arguments.config), str(arguments.config))
    settings, failed = ReadingConfig(hdu=arguments.hdu or ""), False
    for path in map(path_of, expand_patterns(arguments.images)):
        target = path if arguments.overwrite else path.with_name(_name_of_copy(path))
        with reported_errors(target):
            try:
                changes = fix_header(
                    path,
                    cards,
                    target=None if arguments.dry_run else target,
                    replace=arguments.replace,
                    settings=settings,
                )
            except (ImageError, TransientError) as error:
                print(plain_text(f"transients: {' '.join(str(error).split())}"), file=sys.stderr)
                failed = True
                continue
        print(plain_text(f"{path}{'' if arguments.dry_run else f' -> {target}'}"))
        print(plain_lines(f"  {_line(change)}" for change in changes) or "  nothing to change")
    return int(ExitCode.IMAGES_LEFT_OUT if failed else ExitCode.COMPLETE)


def _values(path: Path) -> dict[str, Any]:
    """Return the corrections: section [fix-headers] of a TOML file, or [inject] of TraP's inject.cfg."""
    if path.suffix == ".toml":
        try:
            tables = parse_toml(path.read_text(encoding="utf-8"), path)
        except ConfigError:
            raise
        except (OSError, ValueError) as error:
            msg = f"{path}: cannot be read: {error}"
            raise ConfigError(msg) from error
    else:
        tables = read_parset(path)
    values = next((tables[name] for name in _SECTIONS if isinstance(tables.get(name), dict)), None)
    if values is None:
        msg = f"{path}: section [fix-headers], or TraP's [inject], is missing"
        raise ConfigError(msg)
    return dict(values)


def _name_of_copy(path: Path) -> str:
    """Return the name of the copy; all suffixes are kept, so that the copy is read in the same format."""
    name, *suffixes = path.name.split(".")
    return ".".join([f"{name}_fixed", *suffixes])


def _line(change: Change) -> str:
    before = "–" if change.before is None else repr(change.before)
    return f"{change.keyword:8} {before} -> {change.after!r}"
