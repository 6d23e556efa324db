"""``transients --version``: the software behind the results of this installation.

The record of each run holds the same versions. No library is imported: the metadata of each name its version.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["ShowVersions", "version_text"]


class ShowVersions(argparse.Action):
    """An option that prints the versions and ends the program, as argparse's action ``version`` does."""

    def __init__(self, option_strings: list[str], **options: Any) -> None:  # noqa: ANN401 (argparse's own)
        nothing = {"dest": argparse.SUPPRESS, "default": argparse.SUPPRESS, "nargs": 0}
        super().__init__(option_strings, **(options | nothing))

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print the versions, and exit with 0."""
        from trap.software import software_versions

        print(version_text(software_versions()))
        parser.exit()


def version_text(versions: Mapping[str, str]) -> str:
    """Write the versions as lines: the program, its commit, Python and the libraries.

    Parameters
    ----------
    versions
        Versions by name; see :func:`trap.software.software_versions`.
    """
    shown = {"trap": "transients", "python": "Python"}
    return "\n".join(f"{shown.get(name, name)} {version}" for name, version in versions.items())
