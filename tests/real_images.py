"""The folder of images of telescopes and other simulators, which are not part of the project."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get("TRAP_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
WITHOUT = f"no images of telescopes in {DATA}; TRAP_TEST_DATA can name another folder"

needs_real_images = pytest.mark.skipif(not DATA.is_dir(), reason=WITHOUT)
