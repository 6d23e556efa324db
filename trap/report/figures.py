"""The style of our figures, which no setting of the user's matplotlib changes.

A user's ``matplotlibrc`` may set every text with LaTeX, draw on a dark background, or be broken; ``MPLBACKEND`` may
name a display that a server does not have, or a notebook. Figures of a pipeline look the same on every machine.
"""

from __future__ import annotations

import importlib.util
import io
import os
import sys
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from trap.errors import ConfigError
from trap.escapes import plain_text

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["as_png", "own_style", "write_title"]

DPI = 100
"""Resolution of figures of pixels."""
_NAME = "matplotlib"


@contextmanager
def own_style() -> Iterator[None]:
    """Draw figures with matplotlib's own defaults in the block; also a decorator of functions that draw.

    Raises
    ------
    ConfigError
        If matplotlib cannot be loaded, since it reads a ``matplotlibrc`` of the working directory that is damaged.
    """
    mpl = _matplotlib()
    with mpl.rc_context(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from", UserWarning)  # a box takes its place
        warnings.simplefilter("ignore", mpl.MatplotlibDeprecationWarning)
        mpl.rcParams.update({name: value for name, value in mpl.rcParamsDefault.items() if name != "backend"})
        yield


def write_title(axes: Axes, text: str, size: float) -> None:
    """Write a title, such as the name of a file, without formulas: a single ``$`` in it would be an error of syntax.

    Parameters
    ----------
    axes
        Axes with the title.
    text
        The title.
    size
        pt — size of the letters.
    """
    axes.set_title(plain_text(text), fontsize=size, parse_math=False)


def as_png(figure: Figure) -> bytes:
    """Encode a figure as a PNG file."""
    file = io.BytesIO()
    with own_style():
        figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def _matplotlib() -> ModuleType:
    """Import matplotlib with its own settings. It reads the user's while it is imported, and refuses wrong ones."""
    if _NAME not in sys.modules:
        spec = importlib.util.find_spec(_NAME)
        folder = Path("" if spec is None or spec.origin is None else spec.origin).parent
        values = {"MPLBACKEND": "agg", "MATPLOTLIBRC": str(folder / "mpl-data" / "matplotlibrc")}
        before: dict[str, Any] = {name: os.environ.get(name) for name in values}
        os.environ.update(values)
        try:
            import matplotlib as mpl  # noqa: F401, PLC0415 (slow, and few commands draw)
        except (ValueError, OSError) as error:
            sys.modules.pop(_NAME, None)
            msg = f"matplotlib cannot be loaded; is the file matplotlibrc here damaged? {plain_text(error)}"
            raise ConfigError(msg) from error
        finally:
            for name, value in before.items():
                os.environ.pop(name) if value is None else os.environ.update({name: value})
    return sys.modules[_NAME]
