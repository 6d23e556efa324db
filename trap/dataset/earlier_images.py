"""The earlier images that new sources are measured in: of each band and sky region, the latest ones and the best ones.

The latest images continue a light curve without a gap. The best ones show whether a source is new, also if the latest
images are poor. Their number is bounded, whatever the length of the dataset.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator

    from trap.association.entries import LightCurveKey

__all__ = ["EarlierImages", "Remembered"]

MAX_IMAGES = 100
"""Largest number of images of one band and Stokes parameter: each takes some 0.4 MB for its mesh and measurements."""


class Remembered(Protocol):
    """An image that can be measured again."""

    @property
    def key(self) -> LightCurveKey:
        """Band and Stokes parameter."""

    @property
    def region(self) -> int:
        """Number of its sky region."""

    @property
    def noise(self) -> float:
        """Noise of the image, in Jy/beam; NaN if it is unknown."""


Image = TypeVar("Image", bound=Remembered)


class EarlierImages(Generic[Image]):
    """Images by band and sky region, of which the latest half and the best half are kept.

    Parameters
    ----------
    n_images
        Number of images of each band, Stokes parameter and sky region. The regions that were seen last are kept, with
        at most :data:`MAX_IMAGES` images of a band.
    """

    def __init__(self, n_images: int) -> None:
        self._n_images = n_images
        self._images: dict[LightCurveKey, dict[int, list[Image]]] = {}

    def add(self, image: Image) -> None:
        """Add an image; images come in order of time.

        Parameters
        ----------
        image
            The image.
        """
        if not self._n_images:
            return
        regions = self._images.setdefault(image.key, {})
        images = regions.pop(image.region, [])
        regions[image.region] = images  # as the latest one
        images.append(image)
        if len(images) > self._n_images:
            older = images[: self._n_images - self._n_images // 2]
            # Of equal ones, the oldest goes.
            worst = max(range(len(older)), key=lambda place: (_rank(older[place]), -place))
            del images[worst]
        while len(regions) > 1 and sum(map(len, regions.values())) > MAX_IMAGES:
            del regions[next(iter(regions))]

    def __iter__(self) -> Iterator[Image]:
        """Yield the images band by band and region by region, earliest first."""
        for _, regions in sorted(self._images.items()):
            for _, images in sorted(regions.items()):
                yield from images


def _rank(image: Remembered) -> float:
    """Return the noise of an image; one without noise is the worst."""
    return math.inf if math.isnan(image.noise) else image.noise
