"""Fields with given pixels: values above a background of zero, and their noise."""

from __future__ import annotations

import numpy as np

from trap.extraction.field import Field
from trap.extraction.islands import find_islands, segment_image
from trap.extraction.mesh import Background


def field_of(rows, mask=None, rms=1.0):
    """Make a field of rows of values, a mask and the noise. The mesh has cells of one pixel."""
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
    return Field(data=data, mask=masked, background=background, beam=np.array([1.0, 0.0, 1.0]))


def islands_of(field, *, analysis=3.0, detection=5.0):
    """Find the islands of a field, by the thresholds in σ."""
    return find_islands(field, segment_image(field.threshold_map(analysis=analysis, detection=detection)))
