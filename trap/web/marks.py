"""The marks on a cut-out as SVG: lines that point to the position, the beam, north and east, and neighbours.

They lie above the picture in a file of their own, so that they can be hidden, and stay sharp at any size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from trap.typing import Array
    from trap.web.cutting import Part

__all__ = ["draw_marks"]

GAP, REACH = 0.2, 0.4
"""Ends of the lines that point to the position, in halves of the width."""
ARROW = 0.22
ARROWS = (0.74, -0.8)
"""Length of the arrows, and the place of their common end from the middle, in halves of the width."""
NEIGHBOUR = 0.07
LINE = 'fill="none" vector-effect="non-scaling-stroke"'


def draw_marks(part: Part) -> str:
    """Draw the marks on a cut-out.

    Parameters
    ----------
    part
        Pixels with the places of the marks.

    Returns
    -------
    An SVG picture of the size of the pixels, for the place above them.
    """
    ny, nx = part.pixels.shape
    half = max(nx, ny) / 2
    x, y = part.position
    paths = [
        f"M{_place(x + GAP * half * dx, y + GAP * half * dy, ny)}"
        f"L{_place(x + REACH * half * dx, y + REACH * half * dy, ny)}"
        for dx, dy in ((1, 0), (-1, 0), (0, 1), (0, -1))
    ]
    paths += _beam(part.beam, ny, half)
    paths += [_circle(x, y, NEIGHBOUR * half, ny) for x, y in part.neighbours.tolist() if _is_inside(x, y, nx, ny)]
    corner = np.array([(nx - 1) / 2, (ny - 1) / 2]) + half * np.array(ARROWS)
    arrows = {name: (corner + ARROW * half * way, corner + 1.6 * ARROW * half * way)
              for name, way in (("N", part.north), ("E", part.east)) if np.isfinite(way).all()}  # fmt: skip
    paths += [f"M{_place(corner[0], corner[1], ny)}L{_place(tip[0], tip[1], ny)}" for tip, _ in arrows.values()]
    letters = "".join(
        f'<text x="{at[0] + 0.5:.2f}" y="{ny - at[1] - 0.5:.2f}" font-size="{0.16 * half:.2f}" text-anchor="middle" '
        f'dominant-baseline="central">{name}</text>'
        for name, (_, at) in arrows.items()
    )
    path = "".join(paths)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {nx} {ny}" font-family="sans-serif">'
        # A dark line under each light one: both ends of every map of colours are far from one of them.
        f'<path d="{path}" stroke="#000" stroke-opacity="0.55" stroke-width="3" {LINE}/>'
        f'<path d="{path}" stroke="#fff" stroke-width="1.2" {LINE}/>'
        f'<g fill="#fff" stroke="#000" stroke-opacity="0.55" stroke-width="{0.03 * half:.2f}" paint-order="stroke">'
        f"{letters}</g></svg>"
    )


def _place(x: float, y: float, ny: int) -> str:
    """Return the place of a pixel in a picture whose first row is at the bottom; centres of pixels are at halves."""
    return f"{x + 0.5:.2f} {ny - y - 0.5:.2f}"


def _beam(outline: Array, ny: int, half: float) -> list[str]:
    """Return the outline of the beam in the lower left corner."""
    if not len(outline) or not np.isfinite(outline).all():
        return []
    size = float(np.abs(outline).max())
    # A beam of the size of the cut-out has no corner.
    inset = min(1.6 * size, half)
    places = [_place(x + inset, y + inset, ny) for x, y in outline.tolist()]
    return ["M" + "L".join(places) + "Z"]


def _circle(x: float, y: float, radius: float, ny: int) -> str:
    size = f"{radius:.2f} {radius:.2f}"
    half_turns = (f"a{size} 0 1 0 {sign * 2 * radius:.2f} 0" for sign in (1, -1))
    return f"M{_place(x - radius, y, ny)}{''.join(half_turns)}"


def _is_inside(x: float, y: float, nx: int, ny: int) -> bool:
    return -0.5 <= x < nx - 0.5 and -0.5 <= y < ny - 0.5
