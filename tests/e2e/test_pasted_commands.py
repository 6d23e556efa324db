"""Command lines of the guides, pasted as they stand into a shell with the activated environment."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from astropy.io import fits

from trap.images.beam import Beam
from trap.simulation.pixels import render_sources
from trap.simulation.survey import SurveyConfig, simulate_survey

if TYPE_CHECKING:
    from flows.service.server import Server

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ENVIRONMENT = Path(sys.executable).parents[1]
TIMEOUT_SECONDS = 240
# The field of the README's example position.
SURVEY = SurveyConfig(
    seed=4, n_timesteps=6, n_bands=1, size=128, centre_ra=173.1367, centre_dec=27.6989, n_steady=6, n_variables=2,
    n_transients=2,
)  # fmt: skip


def console_block(page: str, first_command: str) -> str:
    """Return the commands of the console block that holds a command, without the prompts."""
    (block,) = (text for text in re.findall(r"```console\n(.*?)```", page, re.DOTALL) if f"$ {first_command}" in text)
    return re.sub(r"^\$ ", "", block, flags=re.MULTILINE)


def add_source_at_the_centre(path: Path) -> None:
    """Add a source of 2 mJy at the middle of an image, with the beam of the header."""
    with fits.open(path, mode="update") as hdus:
        header, data = hdus[0].header, hdus[0].data
        beam = Beam(bmaj=header["BMAJ"], bmin=header["BMIN"], bpa=header["BPA"])
        form = beam.quadratic_form(header["CDELT1"], header["CDELT2"])
        middle = (np.array([(SURVEY.size - 1) / 2]),) * 2
        data += render_sources(*middle, np.array([2e-3]), beam_form=form, shape=data.shape[-2:]).astype(data.dtype)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A working folder with a link to the environment and a series of images."""
    survey = simulate_survey(tmp_path / "images", SURVEY)
    for path in survey.images:
        add_source_at_the_centre(path)
    (tmp_path / ".venv").symlink_to(ENVIRONMENT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def paste(commands: str) -> str:
    """Run commands in a shell that ends at the first failure, and return their output.

    The shell is dash, which knows the least, or else bash.
    """
    shell = next(name for name in ("dash", "bash") if shutil.which(name))
    done = subprocess.run(
        [shell, "-e"], input=commands, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_commands_of_the_readme_run_in_order(folder: Path, server: Server) -> None:
    output = paste(console_block(README, "transients inspect"))
    assert f"{SURVEY.n_timesteps} timesteps" in output
    assert "variable source" in output
    assert (folder / "lightcurve.png").stat().st_size > 0
