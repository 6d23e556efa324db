"""Additions to the packages: the commit that they were made from, and a description for the package index."""

from __future__ import annotations

import re
import sys
import tempfile
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface
from hatchling.metadata.plugin.interface import MetadataHookInterface

IMAGE = re.compile(r"^!\[[^]]*\]\((?!https?:)[^)]*\)\n+(?:\*[^*\n][^*]*\*\n+)?", re.MULTILINE)
"""A paragraph with an image of the project, and a caption in italics below it."""
REMARK = re.compile(r"\s+\(\[[^]]+\]\((?!https?:)[^)]*\)\)")
"""A link alone in parentheses, such as ([method](docs/method.md)), with the space before it."""
LINK = re.compile(r"(?<!!)\[(?P<text>[^]]+)\]\((?!https?:)[^)]*\)")
"""A link to another file of the project, or within the page."""


class RecordCommit(BuildHookInterface):  # type: ignore[type-arg] # (its parameter is the settings of a builder)
    """Add the file ``trap/commit.txt`` to the wheel and the source distribution."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Record the commit, unless the source distribution holds it already, or the installation is a checkout."""
        sys.path.insert(0, self.root)
        from trap.software import RECORD, commit_of_checkout  # noqa: PLC0415 (the folder is not on the path before)

        if version == "editable" or (Path(self.root) / "trap" / RECORD).exists():
            return
        self._folder = tempfile.TemporaryDirectory()
        record = Path(self._folder.name) / RECORD
        record.write_text(f"{commit_of_checkout(Path(self.root))}\n")
        build_data["force_include"][str(record)] = f"trap/{RECORD}"

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove the temporary folder."""
        if hasattr(self, "_folder"):
            self._folder.cleanup()


class DescribeProject(MetadataHookInterface):
    """Make the description of the README, without the images and links that lead into the project's folders."""

    def update(self, metadata: dict[str, Any]) -> None:
        """Set the description."""
        text = (Path(self.root) / "README.md").read_text(encoding="utf-8")
        metadata["readme"] = {"content-type": "text/markdown", "text": description(text)}


def description(readme: str) -> str:
    """Return the README for a package index, which has none of the project's other files."""
    return LINK.sub(lambda link: link["text"], REMARK.sub("", IMAGE.sub("", readme)))
