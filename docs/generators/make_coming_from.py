"""Make the tables of names in docs/coming-from/trap-r4-r6.md: settings, what an import adds, and steps.

The place of a setting is found by importing a file with another value of it. A test fails if the page is out of date.
"""

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from page_parts import replace_parts

from trap.config import PipelineConfig
from trap.config.parset import _RENAMED, TRAP_DEFAULTS, config_of_parsets

PAGE = Path(__file__).parents[1] / "coming-from" / "trap-r4-r6.md"

JOB_PARAMS: dict[tuple[str, str], str] = {
    ("persistence", "description"): '"TRAP dataset"',
    ("persistence", "dataset_id"): "-1",
    ("persistence", "rms_est_sigma"): "4",
    ("persistence", "rms_est_fraction"): "8",
    ("persistence", "bandwidth_max"): "0.0",
    ("quality", "rms_est_history"): "100",
    ("quality", "rms_est_max"): "100",
    ("quality", "rms_est_min"): "0.0",
    ("quality", "rms_rej_sigma"): "3",
    ("quality", "oversampled_x"): "30",
    ("quality", "elliptical_x"): "2.0",
    ("quality_lofar", "low_bound"): "1",
    ("quality_lofar", "high_bound"): "80",
    ("quality_lofar", "min_separation"): "10",
    ("source_extraction", "detection_threshold"): "8",
    ("source_extraction", "analysis_threshold"): "3",
    ("source_extraction", "back_size_x"): "50",
    ("source_extraction", "back_size_y"): "50",
    ("source_extraction", "margin"): "10",
    ("source_extraction", "deblend_nthresh"): "0",
    ("source_extraction", "extraction_radius_pix"): "250",
    ("source_extraction", "force_beam"): "True",
    ("source_extraction", "box_in_beampix"): "10",
    ("source_extraction", "ew_sys_err"): "10",
    ("source_extraction", "ns_sys_err"): "10",
    ("source_extraction", "expiration"): "10",
    ("association", "deruiter_radius"): "5.68",
    ("association", "beamwidths_limit"): "3.0",
    ("transient_search", "new_source_sigma_margin"): "1",
    ("pipeline", "mode"): "'batch'",
    ("pipeline", "hosts"): "',,,,,'",
    ("pipeline", "ports"): "'6666,6667,6668,6669,6670,6671'",
}
"""Settings of a job of TraP R6, and their defaults."""

PIPELINE: dict[tuple[str, str], str] = {
    ("logging", "log_dir"): "%(job_directory)s/logs/%(start_time)s",
    ("logging", "debug"): "False",
    ("logging", "colorlog"): "True",
    ("database", "engine"): "'postgresql'",
    ("database", "database"): "''",
    ("database", "user"): "''",
    ("database", "password"): "''",
    ("database", "host"): "''",
    ("database", "port"): "5432",
    ("database", "dump_backup_copy"): "False",
    ("image_cache", "copy_images"): "False",
    ("parallelise", "method"): '"multiproc"',
    ("parallelise", "cores"): "0",
}
"""Settings of a project of TraP R6, and their defaults."""

REMARKS: dict[tuple[str, str], str] = {
    ("persistence", "description"): "`--name` of `transients run` sets it too.",
    (
        "quality",
        "rms_est_history",
    ): "Counts accepted images before this one; TraP counts rejected images and the image itself.",
    (
        "quality",
        "rms_rej_sigma",
    ): "Of the logarithm of the noise, from the median; in TraP of the noise, from the mean.",
    ("quality_lofar", "min_separation"): "For images of any telescope; other than LOFAR's get a warning.",
    ("source_extraction", "deblend_nthresh"): "A switch: 0 is off, any other number tries all levels.",
    ("source_extraction", "extraction_radius_pix"): "0 searches the whole image, in TraP too.",
    (
        "source_extraction",
        "expiration",
    ): "Counts timesteps without a detection; TraP counts forced fits, so N bands use up N.",
    ("transient_search", "new_source_sigma_margin"): 'Has an effect if `new_source_test` is `"image"` or `"position"`.',
    (
        "database",
        "engine",
    ): "The other values become one URL, `postgresql://user@host:port/database`.",
    ("parallelise", "method"): "Worker processes measure images; `n_workers = 1` starts one.",
    ("parallelise", "cores"): "0 takes all cores, in TraP too.",
}
"""What differs besides the default."""

FRAME: dict[str, dict[str, str]] = {
    "DEFAULT": {"job_directory": "."},
    "association": {},
    "database": {"database": "a", "user": "b", "host": "c"},
}
"""Settings of a file in which the effect of any other setting is seen."""

TKP_STEPS: dict[str, tuple[str, ...]] = {
    "persistence": (
        "create_dataset",
        "extract_metadatas",
        "store_images_in_db",
        "get_accessors",
        "paths_to_fits",
    ),
    "quality": ("reject_check", "reject_image"),
    "source_extraction": ("extract_sources",),
    "forced_fitting": ("get_forced_fit_requests", "perform_forced_fits", "insert_and_associate_forced_fits"),
    "varmetric": ("execute_store_varmetric",),
    "misc": (
        "load_job_config",
        "dump_configs_to_logdir",
        "check_job_configs_match",
        "setup_logging",
        "dump_database_backup",
        "ImageMetadataForSort",
        "group_per_timestep",
    ),
    "prettyprint": ("prettyprint",),
}
"""Functions of TraP's ``tkp.steps``."""


def imported(text: str) -> tuple[PipelineConfig, list[str]]:
    """Import a file of TraP with this content."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "job_params.cfg"
        path.write_text(text, encoding="utf-8")
        return config_of_parsets([path])


def place_of(section: str, key: str, default: str) -> tuple[str, str]:
    """Return the setting that a setting of TraP becomes, and the replacement of one that becomes none."""
    value = _another(default)
    frame = {name: dict(values) for name, values in FRAME.items()}
    frame.setdefault(section, {})[key] = default
    base, _ = imported(_parset(frame))
    frame[section][key] = value
    config, notes = imported(_parset(frame))
    if notes:
        _, reason = notes[0].split(": ", 1)
        return "", reason
    places = [
        f"{part}.{name}"
        for part in PipelineConfig.model_fields
        for name in type(getattr(config, part)).model_fields
        if getattr(getattr(config, part), name) != getattr(getattr(base, part), name)
    ]
    return (places[0], "") if places else ("", "")


def _parset(sections: dict[str, dict[str, str]]) -> str:
    """Return the text of a file with these values."""
    return "".join(
        f"[{section}]\n" + "".join(f"{key} = {value}\n" for key, value in values.items())
        for section, values in sections.items()
    )


def _another(default: str) -> str:
    """Return another possible value than this one, so that its effect is seen."""
    value = _literal(default)
    if isinstance(value, bool):
        return str(not value)
    if isinstance(value, int):
        return str(value + 1)
    return str(value + 0.5) if isinstance(value, float) else "other"


def _literal(text: str) -> Any:  # noqa: ANN401 (any literal)
    try:
        return ast.literal_eval(text)
    except (SyntaxError, ValueError):
        return text


def settings_tables(settings: dict[tuple[str, str], str]) -> str:
    """Make the tables of the settings of one file of TraP, one for each of its sections."""
    sections = dict.fromkeys(section for section, _ in settings)
    return "\n".join(settings_table(section, settings) for section in sections)


def settings_table(section: str, settings: dict[tuple[str, str], str]) -> str:
    """Make the table of the settings of one section."""
    lines = [f"**`[{section}]`**", "", "| setting | TraP | here | differences |", "|---|---|---|---|"]
    for (_, key), default in ((names, value) for names, value in settings.items() if names[0] == section):
        place, replacement = place_of(section, key, default)
        moved = "" if place in ("", f"{section}.{key}") else f"It is `{place}`."
        remark = REMARKS.get((section, key), "")
        shown = " ".join(part for part in (moved, _sentence(replacement), remark) if part)
        lines.append(f"| `{key}` | `{default}` | {f'`{toml_of(place)}`' if place else '–'} | {shown} |")
    return "\n".join(lines) + "\n"


def toml_of(place: str, config: PipelineConfig | None = None) -> str:
    """Return the value of a setting as TOML has it; by default its default."""
    section, key = place.split(".")
    value = getattr(getattr(config or PipelineConfig(), section), key)
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else f"{value:g}" if isinstance(value, float) else str(value)


def _sentence(text: str) -> str:
    """Return a replacement as a sentence, with its commands as code."""
    shown = re.sub(r"'(transients [^']*)'", r"`\1`", text).replace("execution.keep_pixels", "`execution.keep_pixels`")
    return f"{shown[:1].upper()}{shown[1:]}." if shown else ""


def additions_table() -> str:
    """Make the table of settings that an import writes although TraP has no such setting."""
    settled = set(JOB_PARAMS)
    lines = ["| setting here | default here | after an import |", "|---|---|---|"]
    config, _ = imported("")
    for section, values in TRAP_DEFAULTS.items():
        for key in values:
            place = f"{section}.{key}"
            default, value = toml_of(place), toml_of(place, config)
            if (section, key) not in settled and default != value:
                lines.append(f"| `{place}` | `{default}` | `{value}` |")
    return "\n".join(lines) + "\n"


def early_names_table() -> str:
    """Make the table of the names of settings in early releases."""
    lines = ["| name in an early release | name in R6 |", "|---|---|"]
    lines += [f"| `{' '.join((old[0] + ':', old[1]))}` | `{new[0]}: {new[1]}` |" for old, new in _RENAMED.items()]
    lines.append("| `source_extraction: deblend` | `source_extraction: deblend_nthresh` |")
    return "\n".join(lines) + "\n"


def steps_table() -> str:
    """Make the table of the functions of TraP's steps and of ours, with their arguments."""
    lines = ["| `tkp.steps` | `trap.steps` | purpose |", "|---|---|---|"]
    for module, names in TKP_STEPS.items():
        here = import_module(f"trap.steps.{module}")
        for name in names:
            function = getattr(here, name)
            summary = inspect.getdoc(function).splitlines()[0].replace("``", "`")
            arguments = ", ".join(inspect.signature(function).parameters)
            lines.append(f"| `{module}.{name}` | `{module}.{name}({arguments})` | {summary} |")
    return "\n".join(lines) + "\n"


def more_steps_table() -> str:
    """Make the table of the modules of steps that TraP does not have."""
    folder = Path(import_module("trap.steps").__file__).parent
    lines = ["| `trap.steps` | contents |", "|---|---|"]
    for path in sorted(folder.glob("[a-z]*.py")):
        if path.stem not in TKP_STEPS:
            summary = inspect.getdoc(import_module(f"trap.steps.{path.stem}")).split("\n\n")[0]
            lines.append(f"| `{path.stem}` | {' '.join(summary.split())} |")
    return "\n".join(lines) + "\n"


PARTS = {
    "job_params.cfg": lambda: settings_tables(JOB_PARAMS),
    "pipeline.cfg": lambda: settings_tables(PIPELINE),
    "settings that an import adds": additions_table,
    "names of early releases": early_names_table,
    "steps": steps_table,
    "more steps": more_steps_table,
}


def with_parts(page: str) -> str:
    """Return the text of the page with all parts made again, each between its marks."""
    return replace_parts(page, PARTS, "make_coming_from.py")


if __name__ == "__main__":
    PAGE.write_text(with_parts(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
    print(f"{PAGE} written")
