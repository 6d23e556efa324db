"""The arguments of ``trap live`` that say where images come from, and for whom one waits."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from argparse import ArgumentParser

__all__ = ["add_live_options"]


def add_live_options(parser: ArgumentParser) -> None:
    """Add the options, each under the name of its setting; one that is not given has the setting's default."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", metavar="DIR", help="folder in which images arrive")
    source.add_argument(
        "--stream", nargs="+", dest="streams", metavar="HOST:PORT", help="senders of TraP's stream, a connection each"
    )
    folder = parser.add_argument_group("of a folder")
    folder.add_argument("--patterns", nargs="+", metavar="PATTERN", help="names of images (*.fits)")
    folder.add_argument(
        "--settle", dest="settle_seconds", type=float, metavar="S",
        help="an image is complete if it has not changed for so long (2), or beside it lies IMAGE.done",
    )  # fmt: skip
    stream = parser.add_argument_group("of a stream")
    stream.add_argument("--pixel-order", choices=("x-fastest", "y-fastest"), help="of the sender (x-fastest, as FITS)")
    stream.add_argument("--spool", metavar="DIR", help="where its images are kept (trap-stream)")
    stream.add_argument(
        "--keep", dest="keep_timesteps", type=int, metavar="N", help="timesteps whose images are kept (100); 0: all"
    )
    waiting = parser.add_argument_group("for whom one waits")
    waiting.add_argument(
        "--images-per-timestep", type=int, metavar="N", help="so many are complete; by default as many as lately"
    )
    waiting.add_argument(
        "--timeout", dest="timestep_timeout_seconds", type=float, metavar="S",
        help="a timestep is closed so long after its first image (10)",
    )  # fmt: skip
    waiting.add_argument(
        "--max-lag", dest="max_lag_seconds", type=float, metavar="S",
        help="timesteps that could only be stored later than this are left out (60)",
    )  # fmt: skip
    waiting.add_argument(
        "--idle", dest="idle_seconds", type=float, metavar="S", help="end when nothing came for so long; else never"
    )
