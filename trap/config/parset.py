"""TraP's own configuration files: read as they are, and turned into our settings.

They are INI files whose values are Python literals or plain text. TraP R6 takes a comment behind a value for a
part of it; here it is one.
"""

from __future__ import annotations

import ast
import configparser
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trap.config.pipeline import PipelineConfig
from trap.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["config_of_parsets", "read_parset"]

Parset = dict[str, dict[str, Any]]

_COMMENTS = (";", "#")
_OTHERWISE = {
    ("persistence", "dataset_id"): "datasets are those of another database; name one with --dataset",
    ("pipeline", "mode"): "images are files here; 'trap watch' waits for new ones",
    ("pipeline", "hosts"): "there is no reading from sockets",
    ("pipeline", "ports"): "there is no reading from sockets",
    ("logging", "log_dir"): "give it as --log-dir",
    ("logging", "debug"): "give --verbose",
    ("logging", "colorlog"): "colours appear on a terminal and nowhere else",
    ("image_cache", "copy_images"): "pixels are not stored in the database",
    ("database", "dump_backup_copy"): "'trap db' makes backups",
    ("database", "password"): "passwords belong into ~/.pgpass or PGPASSWORD",
}
"""What has no setting here, and what there is instead."""


def read_parset(path: str | Path) -> Parset:
    """Read one of TraP's files: ``job_params.cfg``, ``pipeline.cfg`` or ``inject.cfg``.

    Returns
    -------
    For each section its values, with comments stripped and the literals of Python turned into what they are.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    path = Path(path)
    folder = path.absolute().parent
    known = {"cwd": str(folder), "job_name": folder.name, "start_time": ""}
    parser = configparser.ConfigParser(defaults=known, inline_comment_prefixes=_COMMENTS)
    try:
        parser.read_string(path.read_text(encoding="utf-8"), str(path))
        return {
            section: {key: _value(parser[section][key]) for key in _own_keys(parser, section)}
            for section in parser.sections()
        }
    except (OSError, UnicodeDecodeError, configparser.Error) as error:
        msg = f"{path}: cannot read the configuration: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error


def config_of_parsets(paths: Iterable[str | Path]) -> tuple[PipelineConfig, list[str]]:
    """Turn a job of TraP into settings.

    Parameters
    ----------
    paths
        Its ``job_params.cfg``, and perhaps its project's ``pipeline.cfg``.

    Returns
    -------
    config
        What the files say, and our defaults for all else.
    notes
        What could not be carried over, and why, one line each.

    Raises
    ------
    ConfigError
        If a file cannot be read, or a value is impossible.
    """
    sections: dict[str, dict[str, Any]] = {}
    notes: list[str] = []
    files = [str(path) for path in paths]
    for path in files:
        parset = read_parset(path)
        for section, key, value in _items(parset):
            place = _place(section, key, value)
            if place is not None:
                sections.setdefault(place[0], {})[place[1]] = place[2]
            elif (section, key) not in _TAKEN_TOGETHER:
                reason = _OTHERWISE.get((section, key), "there is no such setting here")
                shown = "…" if key == "password" else repr(value)
                notes.append(f"{section}.{key} = {shown}: {reason}")
        if "database" in parset:
            sections.setdefault("execution", {})["database"] = _database_url(parset["database"])
    return PipelineConfig.checked(sections, ", ".join(files)), notes


_TAKEN_TOGETHER = {("database", key) for key in ("engine", "database", "user", "host", "port")} | {
    ("parallelise", "method"),
    ("parallelise", "cores"),
}


def _own_keys(parser: configparser.ConfigParser, section: str) -> Iterator[str]:
    """Keys of a section without those of DEFAULT, which only serve the others."""
    return (key for key in parser[section] if key not in parser.defaults())


def _value(text: str) -> Any:  # noqa: ANN401 (any literal)
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text.strip()


def _items(parset: Parset) -> Iterator[tuple[str, str, Any]]:
    return ((section, key, value) for section, values in parset.items() for key, value in values.items())


def _place(section: str, key: str, value: Any) -> tuple[str, str, Any] | None:  # noqa: ANN401 (any literal)
    """Where a setting of TraP's stands here, and its value; None where it has no place."""
    if (section, key) == ("parallelise", "cores"):
        return "execution", "n_workers", value
    if (section, key) in _OTHERWISE or section in ("execution", "reading"):
        return None
    field = PipelineConfig.model_fields.get(section)
    names: Mapping[str, Any] = getattr(field.annotation, "model_fields", {}) if field is not None else {}
    return (section, key, value) if key in names else None


def _database_url(values: Mapping[str, Any]) -> str:
    """URL of TraP's database, which has no defaults of ours to fall back to."""
    user, host, port = (str(values.get(key) or "") for key in ("user", "host", "port"))
    place = f"{host}:{port}" if host and port else host
    return f"postgresql://{user}{'@' if user else ''}{place}/{values.get('database') or user}"
