"""The files of deployments/, read once."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

DEPLOYMENTS = Path(__file__).parents[2] / "deployments"


@pytest.fixture(scope="session")
def compose():
    """The file of Compose."""
    return yaml.safe_load((DEPLOYMENTS / "compose.yaml").read_text())


@pytest.fixture(scope="session")
def services(compose):
    """Its services."""
    return compose["services"]


@pytest.fixture(scope="session")
def instructions():
    """The instructions of the Dockerfile, each with its text; continued lines are joined."""
    lines = (line for line in (DEPLOYMENTS / "Dockerfile").read_text().splitlines() if not line.startswith("#"))
    joined = "\n".join(lines).replace("\\\n", " ")
    return [tuple(line.split(maxsplit=1)) for line in joined.splitlines() if line.strip()]


@pytest.fixture(scope="session")
def last_stage(instructions):
    """The instructions that make the image itself."""
    begin = max(number for number, (name, _) in enumerate(instructions) if name == "FROM")
    return instructions[begin:]
