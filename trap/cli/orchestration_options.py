"""The arguments of the commands that need Prefect."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable

    MakeParser = Callable[[str, str, str], argparse.ArgumentParser]

__all__ = ["add_orchestration_commands"]

HANDLER = "trap.cli.orchestration:run_command"


def add_orchestration_commands(make_parser: MakeParser) -> None:
    """Add the commands that need Prefect.

    Parameters
    ----------
    make_parser
        Function that returns the parser of a command, given its name, its handler and a sentence of help.
    """
    deploy = make_parser("deploy", HANDLER, "create the deployments, work pool and automations on a Prefect server")
    _add_installation(deploy)
    deploy.add_argument(
        "--type",
        choices=("process", "docker", "kubernetes"),
        default="process",
        help="kind of work pool (default: %(default)s)",
    )
    deploy.add_argument("--pool", metavar="NAME", help="name of the work pool; default: NAME-KIND")
    deploy.add_argument("--image", metavar="NAME", help="container image of the runs, for docker and kubernetes")
    deploy.set_defaults(command="deploy")

    worker = make_parser("worker", HANDLER, "run the deployments of an installation here, until interrupted")
    worker.add_argument("--name", metavar="NAME", help="name of the installation; default: that of the folder")
    worker.add_argument("--pool", metavar="NAME", help="name of the work pool; default: that of the installation")
    worker.set_defaults(command="worker", config=None, database=None)

    watch = make_parser("watch", HANDLER, "report new images in a folder to Prefect as soon as they are complete")
    watch.add_argument("folder", type=Path, help="folder in which images arrive, with its subfolders")
    watch.add_argument(
        "--pattern", nargs="+", default=["*.fits"], metavar="NAME",
        help="names of images, as shell patterns (default: *.fits)",
    )  # fmt: skip
    watch.add_argument(
        "--settle", type=float, default=5.0, metavar="SECONDS",
        help="time without a change after which an image is complete (default: %(default)g);"
        " a file IMAGE.done marks it as complete at once",
    )  # fmt: skip
    watch.set_defaults(command="watch", config=None, database=None)

    ui = make_parser("ui", HANDLER, "start a Prefect server here, serve the deployments, and open its pages")
    _add_installation(ui)
    ui.add_argument("--no-browser", action="store_true", help="print the address of the pages instead of opening them")
    ui.set_defaults(command="ui")


def _add_installation(parser: argparse.ArgumentParser) -> None:
    """Add the options of an installation: its name, settings, database, folder and schedule."""
    parser.add_argument("--name", metavar="NAME", help="name of the installation; default: that of the folder")
    parser.add_argument(
        "--replace", action="store_true", help="take over an installation of that name with another database or folder"
    )
    parser.add_argument("config", nargs="?", type=Path, help="settings of the runs, a TOML file; without it: defaults")
    parser.add_argument(
        "--database", metavar="URL", help="an SQLite file (default: trap.db), or postgresql://USER@HOST/NAME"
    )
    parser.add_argument(
        "--incoming",
        type=Path,
        default=Path("incoming"),
        metavar="DIR",
        help="folder in which images arrive (default: %(default)s)",
    )
    parser.add_argument(
        "--every", type=float, metavar="SECONDS", help="interval of the schedule that scans it (default: 900)"
    )
