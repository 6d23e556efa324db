from __future__ import annotations

import os
import subprocess
import sys

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from trap.images.cutouts import CutOut
from trap.report.cutouts import plot_cutouts
from trap.report.figures import as_png, own_style, write_title
from trap.report.plots import LightCurve, plot_eta_v, plot_light_curves, save_figure

# Settings that fail without LaTeX, change the looks, or the size of the file.
USER = {"text.usetex": True, "axes.facecolor": "black", "savefig.bbox": "tight", "font.size": 30, "figure.dpi": 300}
DRAW = """
import sys
from pathlib import Path
import numpy as np
from trap.report.plots import plot_eta_v, save_figure
save_figure(plot_eta_v(np.array([0.1, 0.5]), np.array([1.0, 20.0])), Path(sys.argv[1]))
"""


def light_curve(title="a source"):
    time = np.array(["2026-01-01", "2026-01-02"], "M8[us]")
    return LightCurve(
        title=title, time=time, band_mhz=np.full(2, 150.0), flux=np.array([1e-3, 2e-3]), error=np.full(2, 1e-4),
        extract_type=np.array([0, 1]),
    )  # fmt: skip


def figures():
    cutout = CutOut(
        title="first seen", pixels=np.eye(20), position=(10.0, 10.0), scale=1.0, north=np.array([0.0, 1.0]),
        east=np.array([-1.0, 0.0]), beam=np.empty((0, 2)),
    )  # fmt: skip
    return [
        as_png(plot_light_curves([light_curve()])),
        as_png(plot_cutouts([cutout])),
        as_png(plot_eta_v(np.array([0.1, 0.5]), np.array([1.0, 20.0]))),
    ]


def test_settings_of_the_user_change_no_figure():
    before = figures()
    with mpl.rc_context(USER):
        assert figures() == before
        assert mpl.rcParams["text.usetex"] is True


@pytest.mark.parametrize("backend", ["nonsense", "module://no.such.notebook"])
def test_environment_and_files_of_the_user_change_no_figure(tmp_path, backend):
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\naxes.facecolor: black\nbackend: TkAgg\n")
    environment = {**os.environ, "MPLBACKEND": backend, "MATPLOTLIBRC": str(tmp_path)}
    drawn, here = tmp_path / "drawn.png", tmp_path / "here.png"
    done = subprocess.run(
        [sys.executable, "-c", DRAW, str(drawn)], cwd=tmp_path, env=environment, capture_output=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, b"")
    save_figure(plot_eta_v(np.array([0.1, 0.5]), np.array([1.0, 20.0])), here)
    assert drawn.read_bytes() == here.read_bytes()


@pytest.mark.parametrize("title", ["$\\frac", "a$b", "\x1b[31m\n", "画像", "$x^{$", "\udcff"])
def test_any_name_can_be_a_title(title):
    assert as_png(plot_light_curves([light_curve(title)])).startswith(b"\x89PNG")


def test_title_is_the_name_and_no_formula():
    with own_style():
        axes = Figure().subplots()
        write_title(axes, "$x^2$\n", 8)
    assert axes.get_title() == "$x^2$\\n"
    assert not axes.title.get_parse_math()
