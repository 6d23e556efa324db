"""A sky whose every pixel is given: values above a background of nothing, and the noise."""

from __future__ import annotations

import numpy as np

from trap.extraction.background import Background
from trap.extraction.sky import Sky


def sky_of(rows, mask=None, rms=1.0):
    """Rows of values, True where they do not count, and the noise of all or of each; cells of one pixel."""
    data = np.array(rows, np.float32)
    ny, nx = data.shape
    background = Background(
        mesh_mean=np.zeros((ny, nx), np.float32),
        mesh_rms=np.broadcast_to(np.float32(rms), (ny, nx)).copy(),
        shape=(ny, nx),
        origin=(0, 0),
        extent=(nx, ny),
        cell=(1, 1),
    )
    masked = np.zeros((ny, nx), bool) if mask is None else np.array(mask, bool)
    return Sky(data=data, mask=masked, background=background)
