"""Import of TraP's configuration files.

They are INI files whose values are Python literals or plain text. TraP R6 reads a comment behind a value as a
part of the value; here it is a comment.
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
TRAP_DEFAULTS: dict[str, dict[str, Any]] = {
    "quality": {
        "rms_est_history": 100, "min_history": 100, "rms_rej_sigma": 3.0, "rms_rej_factor": 1.0, "jump_history": 10,
        "elliptical_x": 2.0, "undersampled_x": 1.0, "check_new_sources": "warn",
    },
    "source_extraction": {
        "detection_threshold": 8.0, "analysis_threshold": 3.0, "margin": 10, "extraction_radius_pix": 250.0,
        "force_beam": True, "deblend_nthresh": 0,
        "negative": "", "beam_sys_err": 0.0, "ew_sys_err": 10.0, "ns_sys_err": 10.0,
    },
    "association": {"method": "trap"},
    "calibration": {"positions": "measure", "flux_scale": "measure"},
    "transient_search": {"new_source_test": "image", "backward_fits": 0},
}  # fmt: skip
"""TraP's values of settings whose defaults differ here, and its own test of new sources."""
_RENAMED = {
    **{(section, "sigma"): ("persistence", "rms_est_sigma") for section in ("persistence", "quality", "quality_lofar")},
    **{(section, "f"): ("persistence", "rms_est_fraction") for section in ("persistence", "quality", "quality_lofar")},
    **{("quality", key): ("persistence", key) for key in ("rms_est_sigma", "rms_est_fraction")},
    **{("quality_lofar", key): ("quality", key) for key in ("oversampled_x", "elliptical_x")},
    ("source_extraction", "radius"): ("source_extraction", "extraction_radius_pix"),
    ("source_extraction", "backsize_x"): ("source_extraction", "back_size_x"),
    ("source_extraction", "backsize_y"): ("source_extraction", "back_size_y"),
    ("source_extraction", "det"): ("source_extraction", "detection_threshold"),
    ("source_extraction", "anl"): ("source_extraction", "analysis_threshold"),
    ("source_extraction", "deblend_thresholds"): ("source_extraction", "deblend_nthresh"),
    ("association", "radius"): ("association", "deruiter_radius"),
}
"""Names and sections of settings in early releases of TraP, and their places here."""
_DEBLEND = ("source_extraction", "deblend")
"""Switch of early releases, besides the number of thresholds."""
N_THRESHOLDS = 10
"""Number of thresholds of early releases, if a job switches deblending on without a number."""
_REPLACEMENTS = {
    ("persistence", "dataset_id"): "the number is that of another database; use 'transients run --dataset'",
    ("pipeline", "mode"): "'transients run' processes files, 'transients live' images as they arrive",
    ("pipeline", "hosts"): "name the senders of a stream with 'transients live --stream HOST:PORT'",
    ("pipeline", "ports"): "name the senders of a stream with 'transients live --stream HOST:PORT'",
    ("logging", "log_dir"): "name the folder with 'transients run --log-dir'",
    ("logging", "debug"): "use 'transients run --verbose'",
    ("logging", "colorlog"): "colours appear on a terminal and nowhere else",
    **{
        (section, "copy_images"): "set execution.keep_pixels to keep pixels as FITS files next to the database"
        for section in ("image_cache", "persistence")
    },
    ("database", "dump_backup_copy"): "make a backup with 'transients db dump'",
    ("database", "password"): "put passwords in ~/.pgpass or PGPASSWORD",
}
"""TraP's settings without a counterpart among the settings here, and their replacements."""
_COMBINED_KEYS = {("database", key) for key in ("engine", "database", "user", "host", "port")} | {
    ("parallelise", "method"),
    ("parallelise", "cores"),
}
"""TraP's settings that are imported in another form: as the database URL and the number of workers."""
_SECTIONS = {section for section, _ in (*_RENAMED, *_REPLACEMENTS, *_COMBINED_KEYS)} | set(PipelineConfig.model_fields)
"""Sections of TraP's files; a file with none of them is no file of TraP."""


def read_parset(path: str | Path) -> Parset:
    """Read one of TraP's files: ``job_params.cfg``, ``pipeline.cfg`` or ``inject.cfg``.

    Returns
    -------
    For each section its values by key: evaluated if they are Python literals, otherwise as text.

    Raises
    ------
    ConfigError
        If the file cannot be read.
    """
    path = Path(path)
    folder = path.absolute().parent
    defaults = {"cwd": str(folder), "job_name": folder.name, "start_time": ""}
    parser = configparser.ConfigParser(defaults=defaults, inline_comment_prefixes=_COMMENTS)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), str(path))
        return {
            section: {key: _value(parser[section][key]) for key in _own_keys(parser, section)}
            for section in parser.sections()
        }
    except (OSError, ValueError, configparser.Error, RecursionError) as error:
        msg = f"{path}: cannot read the configuration: {' '.join(str(error).split())}"
        raise ConfigError(msg) from error


def config_of_parsets(paths: Iterable[str | Path]) -> tuple[PipelineConfig, list[str]]:
    """Convert a job of TraP to settings.

    Parameters
    ----------
    paths
        The ``job_params.cfg`` of the job, and optionally the ``pipeline.cfg`` of its project.

    Returns
    -------
    config
        The settings of the files. Settings that are not in them have TraP's values, or the defaults here if TraP has no
        such setting.
    notes
        One line for each setting that was not imported, with its value and the reason or the replacement.

    Raises
    ------
    ConfigError
        If a file cannot be read, or a value is impossible.
    """
    sections = {section: dict(values) for section, values in TRAP_DEFAULTS.items()}
    notes: list[str] = []
    files = [str(path) for path in paths]
    for path in files:
        parset = read_parset(path)
        if parset and not _SECTIONS.intersection(parset):
            msg = f"{path}: no job of TraP: none of its sections, such as [source_extraction] and [association]"
            raise ConfigError(msg)
        for section, key, value in _items(parset):
            place = _place(*_RENAMED.get((section, key), (section, key)), value)
            if place is not None:
                sections.setdefault(place[0], {})[place[1]] = place[2]
            elif (section, key) not in {*_COMBINED_KEYS, _DEBLEND}:
                reason = _REPLACEMENTS.get((section, key), "there is no such setting here")
                shown = "…" if key == "password" else repr(value)
                notes.append(f"{section}.{key} = {shown}: {reason}")
        _switch_deblending(parset, sections["source_extraction"])
        if "database" in parset:
            sections.setdefault("execution", {})["database"] = _database_url(parset["database"])
    return PipelineConfig.checked(sections, ", ".join(files)), notes


def _switch_deblending(parset: Parset, extraction: dict[str, Any]) -> None:
    """Apply the switch of early releases to the number of thresholds."""
    switch = parset.get(_DEBLEND[0], {}).get(_DEBLEND[1])
    if switch is not None:
        extraction["deblend_nthresh"] = (extraction["deblend_nthresh"] or N_THRESHOLDS) if switch else 0


def _own_keys(parser: configparser.ConfigParser, section: str) -> Iterator[str]:
    """List the keys of a section without the keys of DEFAULT, which only serve interpolation."""
    return (key for key in parser[section] if key not in parser.defaults())


def _value(text: str) -> Any:  # noqa: ANN401 (any literal)
    """Evaluate a Python literal; return any other text as it is."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return text.strip()


def _items(parset: Parset) -> Iterator[tuple[str, str, Any]]:
    return ((section, key, value) for section, values in parset.items() for key, value in values.items())


def _place(section: str, key: str, value: Any) -> tuple[str, str, Any] | None:  # noqa: ANN401 (any literal)
    """Return the section, the key and the value of a setting of TraP here; None if it has no counterpart."""
    if (section, key) == ("parallelise", "cores"):
        return "execution", "n_workers", value
    if (section, key) in _REPLACEMENTS or section in ("execution", "reading"):
        return None
    field = PipelineConfig.model_fields.get(section)
    names: Mapping[str, Any] = getattr(field.annotation, "model_fields", {}) if field is not None else {}
    return (section, key, value) if key in names else None


def _database_url(values: Mapping[str, Any]) -> str:
    """Return the URL of TraP's database; parts that the file does not name are left out."""
    user, host, port = (str(values.get(key) or "") for key in ("user", "host", "port"))
    place = f"{host}:{port}" if host and port else host
    return f"postgresql://{user}{'@' if user else ''}{place}/{values.get('database') or user}"
