"""The arguments of every sub-command. This module imports nothing slow, so ``--help`` is quick."""

from __future__ import annotations

import argparse
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from trap.cli.dataset_options import add_dataset_commands, add_inspect_options
from trap.cli.extract.options import EPILOG, add_extract_options
from trap.cli.live_options import add_live_options
from trap.cli.orchestration_options import add_orchestration_commands
from trap.cli.page_options import add_page_commands
from trap.cli.result_options import (
    add_datasets,
    add_export,
    add_export_options,
    add_filters,
    add_photometry,
    add_selection,
    add_variables_options,
)
from trap.cli.spelling import SpellingParser
from trap.cli.survey_options import add_survey_options, add_survey_size, natural_number
from trap.cli.terminal import RESUME_HINT
from trap.cli.version import ShowVersions

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[SpellingParser]  # noqa: SLF001 (argparse has no other name for it)

__all__ = ["make_parser"]

NAME_LENGTH = 100
"""Largest number of characters in the name of a dataset."""
QUERIES = {
    "list", "show", "compare", "calibration", "candidates", "variables", "lightcurve", "export", "inspect", "extract",
    "check",
}  # fmt: skip
"""Commands whose results are what they print."""
EXIT_CODES = """\
exit codes:
  0  all images were processed, or were in the dataset already
  1  could not start or had to stop; one line on standard error gives the reason
  2  wrong arguments
  3  finished, but images were left out: unreadable, rejected, or too late
  4  finished, but timesteps failed and are not in the database
"""


def make_parser() -> argparse.ArgumentParser:
    """Make the parser of ``transients`` and its sub-commands; ``handler`` of the result names the function to call."""
    parser = SpellingParser(
        prog="transients",
        description="Find transients and variables in series of radio images.",
        epilog="'transients COMMAND --help' describes each command.",
    )
    parser.add_argument(
        "--version", action=ShowVersions, help="show the version, the commit and the libraries behind results"
    )
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for add in (
        _add_run,
        _add_live,
        _add_demo,
        _add_simulate,
        _add_inspect,
        _add_fix_headers,
        _add_extract,
        _add_config,
    ):
        add(commands)
    for add in (_add_dataset, _add_candidates, _add_variables, _add_lightcurve, _add_export, _add_db):
        add(commands)
    add_page_commands(partial(_add_command, commands))
    add_orchestration_commands(partial(_add_command, commands))
    return parser


def _add_command(
    commands: Commands, name: str, handler: str, help_: str, *, epilog: str = ""
) -> argparse.ArgumentParser:
    """Add a sub-command; its help text, with a capital, is its description too."""
    parser = commands.add_parser(
        name,
        help=help_,
        description=f"{help_[0].upper()}{help_[1:]}.",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.set_defaults(handler=handler, kept=(), prints=name in QUERIES)
    return parser


def _add_group(commands: Commands, name: str, help_: str) -> Commands:
    parser = commands.add_parser(name, help=help_, description=f"{help_[0].upper()}{help_[1:]}.")
    return parser.add_subparsers(metavar="COMMAND", required=True)


def _add_run(commands: Commands) -> None:
    """Add ``transients run``."""
    parser = _add_command(
        commands, "run", "trap.cli.run:run", "process images into light curves, transients and variables",
        epilog=EXIT_CODES,
    )  # fmt: skip
    parser.add_argument(
        "config",
        nargs="?",
        type=Path,
        help="settings, a TOML file ('transients config init' writes one); without it, the defaults",
    )
    parser.add_argument(
        "--images", nargs="+", action="extend", metavar="PATH", help="images, or quoted glob patterns of images"
    )
    _add_dataset_options(parser)


def _add_live(commands: Commands) -> None:
    """Add ``transients live``."""
    parser = _add_command(
        commands, "live", "trap.cli.live:live", "process images as they arrive", epilog=EXIT_CODES
    )  # fmt: skip
    parser.add_argument("config", nargs="?", type=Path, help="settings, a TOML file; without it, the defaults")
    add_live_options(parser)
    _add_dataset_options(parser, held="images of this folder, or of this stream in its spool")


def _add_dataset_options(parser: argparse.ArgumentParser, *, held: str = "any of the images") -> None:
    """Add the options of commands that process images into a dataset, which is found by the images that it holds."""
    parser.set_defaults(kept=(RESUME_HINT,))  # for an interrupt during imports
    _add_database(parser)
    parser.add_argument(
        "--monitor", type=Path, metavar="FILE", help="positions to measure in every image: JSON, CSV or VOTable"
    )
    parser.add_argument(
        "--catalogues", metavar="PATTERN",
        help="source lists of another finder in place of the search: '{stem}*.txt' next to each image, or a table",
    )  # fmt: skip
    _add_which_dataset(parser, held)
    _add_around(parser)
    _add_running(parser)


def _add_demo(commands: Commands) -> None:
    """Add ``transients demo``."""
    parser = _add_command(
        commands, "demo", "trap.cli.demo:run_demo",
        "simulate a survey, process it, and compare injected with recovered sources",
        epilog="exits with 1 if the pipeline missed a clear transient or found a false one",
    )  # fmt: skip
    parser.add_argument(
        "directory", nargs="?", type=Path, default=Path("demo"), help="folder of the images and results (%(default)s)"
    )
    _add_running(parser)
    # The comparison with the truth, which is the result of a demo, stays on one screen.
    parser.set_defaults(quiet=True, bar=True)
    add_survey_size(parser)


def _add_simulate(commands: Commands) -> None:
    """Add ``transients simulate``."""
    parser = _add_command(
        commands, "simulate", "trap.cli.simulate:simulate", "make images with known transients and variables"
    )
    parser.add_argument(
        "directory", type=Path, help="folder of the images and the truth; an earlier survey is replaced"
    )
    add_survey_options(parser)


def _add_config(commands: Commands) -> None:
    """Add ``transients config`` with its sub-commands."""
    group = _add_group(commands, "config", "write, import or show the settings")
    init = _add_command(group, "init", "trap.cli.config:init_config", "write all settings with their descriptions")
    init.add_argument("file", nargs="?", type=Path, default=Path("trap.toml"), help="file to write (%(default)s)")
    init.add_argument("--force", action="store_true", help="overwrite the file if it exists")
    imported = _add_command(group, "import", "trap.cli.config:import_config", "convert a TraP job into settings")
    imported.add_argument("files", nargs="+", type=Path, help="job_params.cfg of the job, optionally also pipeline.cfg")
    imported.add_argument(
        "--output", type=Path, default=Path("trap.toml"), metavar="FILE", help="file to write (%(default)s)"
    )
    imported.add_argument("--force", action="store_true", help="overwrite the file if it exists")
    show = _add_command(group, "show", "trap.cli.config:show_config", "show the settings that a run would use")
    show.add_argument("file", nargs="?", type=Path, help="settings file; settings it does not name keep their defaults")


def _add_inspect(commands: Commands) -> None:
    """Add ``transients inspect``."""
    add_inspect_options(
        _add_command(
            commands,
            "inspect",
            "trap.cli.inspect:inspect",
            "show the header, noise, sources and checks of images",
            epilog="exits with 3 if any image is unreadable or would be rejected",
        )
    )


def _add_fix_headers(commands: Commands) -> None:
    """Add ``transients fix-headers``."""
    parser = _add_command(
        commands, "fix-headers", "trap.cli.fix_headers:fix_headers",
        "write missing or wrong header keywords into copies of images",
        epilog="exits with 3 if any image could not be changed",
    )  # fmt: skip
    parser.add_argument(
        "config",
        type=Path,
        metavar="CONFIG",
        help="section [fix-headers] of a TOML file, or [inject] of TraP's inject.cfg",
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE", help="images, or quoted glob patterns of images")
    parser.add_argument("--dry-run", action="store_true", help="print the changes without writing")
    parser.add_argument("--replace", action="store_true", help="also change keywords that a header already has")
    parser.add_argument(
        "--overwrite", action="store_true", help="change the images themselves instead of writing copies NAME_fixed"
    )
    parser.add_argument("--hdu", metavar="NAME", help="HDU that holds the image (default: the first HDU with an image)")


def _add_extract(commands: Commands) -> None:
    """Add ``transients extract``, whose options fill a module of their own."""
    add_extract_options(
        _add_command(
            commands,
            "extract",
            "trap.cli.extract.command:extract",
            "find and measure the sources of images",
            epilog=EPILOG,
        )
    )


def _add_dataset(commands: Commands) -> None:
    """Add ``transients dataset`` with its sub-commands."""
    group = _add_group(
        commands, "dataset",
        "list, show, compare, rename and delete datasets, show how images were calibrated, or leave timesteps out",
    )  # fmt: skip
    add_dataset_commands(partial(_add_command, group), _add_database)


def _add_db(commands: Commands) -> None:
    """Add ``transients db`` with its sub-commands."""
    group = _add_group(commands, "db", "create, upgrade, check, vacuum, dump or restore a database")
    helps = {"init": "create the tables in an empty database", "upgrade": "upgrade the tables to this version"}
    for name, help_ in helps.items():
        _add_database(
            _add_command(group, name, "trap.cli.database:upgrade_database", f"{help_}; 'transients run' does it too")
        )
    _add_database(
        _add_command(
            group, "check", "trap.cli.database:check", "check the integrity of a database",
            epilog="exits with 3 if there is a problem",
        )
    )  # fmt: skip
    _add_database(_add_command(group, "vacuum", "trap.cli.database:vacuum", "free the space of deleted rows"))
    dump = _add_command(
        group, "dump", "trap.cli.database:dump", "dump a database into a file, with the database's own tools"
    )
    dump.add_argument(
        "file",
        nargs="?",
        default="./",
        help="file to write, or a folder (one that exists, or a name with a / at its end) for a file named by the time",
    )
    dump.add_argument("--overwrite", action="store_true", help="replace an existing file, but never a database in use")
    restore = _add_command(group, "restore", "trap.cli.database:restore", "restore a dump into an empty database")
    restore.add_argument("file", type=Path, help="file written by 'transients db dump'")
    for parser in (dump, restore):
        _add_database(parser)


def _add_candidates(commands: Commands) -> None:
    """Add ``transients candidates``."""
    parser = _add_command(
        commands, "candidates", "trap.cli.results:show_candidates", "list the transient candidates of a dataset"
    )
    parser.add_argument("dataset", type=int, metavar="DATASET", help="number of the dataset")
    _add_database(parser)
    add_export(parser)
    add_filters(parser)


def _add_variables(commands: Commands) -> None:
    """Add ``transients variables``."""
    parser = _add_command(
        commands, "variables", "trap.cli.variables:show_variables", "list the variable sources of a dataset"
    )
    add_datasets(parser)
    add_variables_options(parser)
    _add_database(parser)
    add_export(parser)
    add_filters(parser)


def _add_export(commands: Commands) -> None:
    """Add ``transients export``."""
    parser = _add_command(
        commands, "export", "trap.cli.table_export:export_tables", "write a table of results to a file of any format"
    )
    add_export_options(parser)
    _add_database(parser)


def _add_lightcurve(commands: Commands) -> None:
    """Add ``transients lightcurve``."""
    parser = _add_command(
        commands, "lightcurve", "trap.cli.results:show_light_curve", "show the light curve of a source"
    )
    add_datasets(parser)
    add_selection(parser)
    _add_database(parser)
    add_export(parser)
    add_filters(parser, of_one_source=True)
    add_photometry(parser)
    parser.add_argument("--plot", type=Path, metavar="FILE", help="plot the light curve into a .png, .pdf or .svg file")
    parser.add_argument(
        "--cutouts",
        type=Path,
        metavar="FILE",
        help="plot a cut-out for each point, from kept pixels or else from the files of the images",
    )
    parser.add_argument(
        "--max-cutouts",
        type=natural_number,
        default=0,
        metavar="N",
        help="plot at most N cut-outs, around the first detection",
    )


def _add_database(parser: argparse.ArgumentParser) -> None:
    """Add the option that names the database."""
    parser.add_argument(
        "--database", metavar="URL", help="an SQLite file (default: trap.db), or postgresql://USER@HOST/NAME"
    )


def _add_which_dataset(parser: argparse.ArgumentParser, held: str) -> None:
    """Add the options that choose between a new dataset and an existing one."""
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--dataset", type=int, metavar="ID",
        help=f"dataset to extend (default: the dataset that holds {held}, or a new one)",
    )  # fmt: skip
    which.add_argument("--new-dataset", action="store_true", help="always create a new dataset")
    parser.add_argument(
        "--name",
        type=_name,
        metavar="NAME",
        help="name of the dataset; the dataset of this name is extended if it exists",
    )
    parser.add_argument(
        "--wait", action="store_true", help="wait while another run is writing the dataset instead of failing"
    )


def _add_around(parser: argparse.ArgumentParser) -> None:
    """Add the options for the cluster and the counters of a run."""
    parser.add_argument(
        "--dask",
        metavar="tcp://HOST:PORT",
        help="measure images on a Dask cluster; its workers must see the files under the same paths",
    )
    parser.add_argument(
        "--metrics", metavar="HOST:PORT", help="address at which counters of the run are served to Prometheus"
    )


def _add_running(parser: argparse.ArgumentParser) -> None:
    """Add the options that choose the runner and the logs."""
    parser.add_argument(
        "--no-prefect", action="store_true", help="run without Prefect and its server; the results are the same"
    )
    parser.add_argument("--log-dir", type=Path, metavar="DIR", help="folder for trap.log (JSON lines) and the settings")
    parser.add_argument("--verbose", action="store_true", help="log every step")
    parser.add_argument("--quiet", action="store_true", help="print problems and the summary only")
    parser.set_defaults(bar=False)
    parser.add_argument("--json-logs", action="store_true", help="log JSON lines, for programs")


def _name(text: str) -> str:
    if not text.strip() or len(text) > NAME_LENGTH:
        msg = f"a name must have 1 to {NAME_LENGTH} characters, got {len(text)}"
        raise argparse.ArgumentTypeError(msg)
    return text
