"""The arguments of ``transients live``: the image source, and how long to wait for late images."""

from __future__ import annotations

import argparse

__all__ = ["add_live_options"]


class _LiveHelp(argparse.RawDescriptionHelpFormatter):
    """A help text that ends with the default of the setting behind each option."""

    def _get_help_string(self, action: argparse.Action) -> str:
        """Append the default of the setting to the help text of an option."""
        # Imported for the help text alone: parsing the arguments of any command must stay fast.
        from trap.config import LiveConfig

        text = action.help or ""
        field = LiveConfig.model_fields.get(action.dest)
        if field is None or field.default in ("", ()):
            return text
        default = " ".join(field.default) if isinstance(field.default, tuple) else field.default
        return f"{text} (default: {default})"


def add_live_options(parser: argparse.ArgumentParser) -> None:
    """Add the options, each with the name of its setting as destination and the default of the setting."""
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--folder", metavar="DIR", help="folder in which images arrive")
    source.add_argument(
        "--stream", nargs="+", dest="streams", metavar="HOST:PORT",
        help="senders of a stream in TraP's format; one connection is made to each",
    )  # fmt: skip
    folder = parser.add_argument_group("images from a folder")
    folder.add_argument("--patterns", nargs="+", metavar="PATTERN", help="names of images, as shell patterns")
    folder.add_argument(
        "--settle", dest="settle_seconds", type=float, metavar="S",
        help="time in s without a change after which an image is complete; IMAGE.done marks it as complete at once",
    )  # fmt: skip
    stream = parser.add_argument_group("images from a stream")
    stream.add_argument(
        "--pixel-order", choices=("x-fastest", "y-fastest"), help="order in which the sender writes pixels"
    )
    stream.add_argument("--spool", metavar="DIR", help="folder in which images of the stream are stored")
    stream.add_argument(
        "--keep", dest="keep_timesteps", type=int, metavar="N",
        help="number of latest timesteps whose images stay in that folder; 0 keeps all",
    )  # fmt: skip
    waiting = parser.add_argument_group("completing a timestep")
    waiting.add_argument(
        "--images-per-timestep", type=int, metavar="N",
        help="number of images that complete a timestep; 0 uses the largest number of the latest timesteps",
    )  # fmt: skip
    waiting.add_argument(
        "--timeout", dest="timestep_timeout_seconds", type=float, metavar="S",
        help="time in s after its first image at which a timestep is closed, complete or not",
    )  # fmt: skip
    waiting.add_argument(
        "--max-lag", dest="max_lag_seconds", type=float, metavar="S",
        help="timesteps that cannot be stored within this time in s after their images arrived are skipped",
    )  # fmt: skip
    waiting.add_argument(
        "--idle", dest="idle_seconds", type=float, metavar="S",
        help="time in s without a new image after which the run ends; 0 waits without limit",
    )  # fmt: skip
    parser.formatter_class = _LiveHelp
