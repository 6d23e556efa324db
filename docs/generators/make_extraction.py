"""Make the parts of docs/method/extraction.md that follow from the code: the table of flags, and the figure.

A test fails if the table is out of date. The figure must be checked by eye.
"""

import ast
import inspect
from pathlib import Path

import matplotlib as mpl
import numpy as np

from trap import codes
from trap.codes import Flag
from trap.config import SourceExtractionConfig
from trap.extraction.background import estimate_background
from trap.extraction.field import measured_mask
from trap.extraction.mesh import Background
from trap.simulation.pixels import noise_transfer, render_noise, render_sources

DOCS = Path(__file__).parents[1]
PAGE = DOCS / "method" / "extraction.md"
FIGURE = DOCS / "images" / "background.png"
BEGIN, END = "<!-- flags: made by docs/generators/make_extraction.py -->\n", "<!-- end of flags -->\n"
SIZE, RADIUS, RMS = 512, 240, 1e-3
BEAM_FORM = (0.22, 0.03, 0.28)
"""A beam of 5.2 × 4.4 pixels, as coefficients of its exponent."""


def flags_table() -> str:
    """Make the table of the flags of :class:`trap.codes.Flag`, with their docstrings."""
    lines = ["| bit | flag | meaning |", "|---|---|---|"]
    lines += [f"| {int(flag)} | `{flag.name}` | {meaning} |" for flag, meaning in flag_meanings().items()]
    return "\n".join(lines) + "\n"


def flag_meanings() -> dict[Flag, str]:
    """Read the docstring of each flag from the source code, since Python does not keep it."""
    (definition,) = (
        node
        for node in ast.parse(inspect.getsource(codes)).body
        if isinstance(node, ast.ClassDef) and node.name == "Flag"
    )
    meanings, last = {}, ""
    for node in definition.body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            last = node.targets[0].id
        elif last and isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            meanings[Flag[last]] = " ".join(str(node.value.value).split())
    return meanings


def write_flags() -> None:
    """Write the table into the page, between its marks."""
    before, rest = PAGE.read_text(encoding="utf-8").split(BEGIN)
    _, after = rest.split(END)
    PAGE.write_text(f"{before}{BEGIN}{flags_table()}{END}{after}", encoding="utf-8")


def simulated_sky() -> tuple[np.ndarray, np.ndarray]:
    """Simulate an image that is hard for a background estimate; return its pixels and true noise, (ny, nx) each."""
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    true_rms = RMS * (1 + 2 * x / SIZE)
    data = true_rms * render_noise(np.random.default_rng(6), noise_transfer(BEAM_FORM, (SIZE, SIZE)), (SIZE, SIZE))
    rng = np.random.default_rng(7)
    positions = rng.uniform(20, SIZE - 20, (2, 150))
    data += render_sources(*positions, RMS * 10 ** rng.uniform(0.7, 2, 150), beam_form=BEAM_FORM, shape=data.shape)
    # A source of S/N 1000, and an extended one.
    data += render_sources(np.array([180.0]), np.array([256.0]), np.array([2.0]), beam_form=BEAM_FORM, shape=data.shape)
    data += 0.02 * np.exp(-((x - 350) ** 2 + (y - 256) ** 2) / (2 * 12**2))
    data += 2e-3 * y / SIZE
    data[np.hypot(x - SIZE / 2, y - SIZE / 2) > RADIUS] = np.nan
    data[300:330, 120:140] = np.nan
    return data, true_rms


def estimated_noise(data: np.ndarray) -> Background:
    """Estimate the background of the simulated sky with the pipeline's default cells."""
    config = SourceExtractionConfig(margin=0, extraction_radius_pix=0)
    return estimate_background(data, measured_mask(data, config), config, beam=np.array(BEAM_FORM))


def draw() -> None:
    """Draw the sky, the estimated over the true noise, and the noise along the row of the bright sources."""
    mpl.use("Agg")
    import matplotlib.pyplot as plt  # noqa: PLC0415 (after the choice of the backend)

    data, true_rms = simulated_sky()
    rms = estimated_noise(data).rms_map()
    rms[np.isnan(data)] = np.nan
    figure, (sky, ratio, cut) = plt.subplots(1, 3, figsize=(10.5, 3.2), layout="constrained")
    sky.imshow(data[::4, ::4], origin="lower", cmap="gray_r", vmin=-4e-3, vmax=1e-2, extent=(0, SIZE, 0, SIZE))
    sky.set_title("image")
    shown = ratio.imshow(
        (rms / true_rms)[::4, ::4], origin="lower", cmap="RdBu_r", vmin=0.7, vmax=1.3, extent=(0, SIZE, 0, SIZE)
    )
    ratio.set_title("noise: estimated / true")
    figure.colorbar(shown, ax=ratio, shrink=0.85)
    for axes in (sky, ratio):
        axes.set(xlabel="x / pixel", ylabel="y / pixel")
    row = SIZE // 2
    cut.plot(1e3 * true_rms[row], color="0.6", lw=3, label="true")
    cut.plot(1e3 * rms[row], color="C0", label="estimated")
    cut.set(xlabel="x / pixel", ylabel="noise / mJy/beam", ylim=(0, 4), title=f"along y = {row}")
    for x, name in ((180, "S/N 1000"), (350, "extended")):
        cut.annotate(name, (x, 0.2), ha="center", fontsize=8)
        cut.axvline(x, color="0.85", lw=1, zorder=0)
    cut.legend(loc="upper left", fontsize=8)
    figure.savefig(FIGURE, dpi=75)


if __name__ == "__main__":
    write_flags()
    draw()
    print(f"{PAGE} and {FIGURE} written")
