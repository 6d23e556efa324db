"""The earlier images that are kept for fits of new sources: the latest and the best ones of each field."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pytest

from trap.association.entries import LightCurveKey
from trap.dataset.earlier_images import MAX_IMAGES, EarlierImages

LOW, HIGH = LightCurveKey(0, 1), LightCurveKey(1, 1)


class Image(NamedTuple):
    number: int
    noise: float = 1.0
    region: int = 0
    key: LightCurveKey = LOW


def kept(images, n_images):
    chosen = EarlierImages(n_images)
    for image in images:
        chosen.add(image)
    return [image.number for image in chosen]


def test_half_are_the_latest_and_half_the_best_of_the_others():
    noise = [1.0, 5.0, 0.5, 4.0, np.nan, 2.0, 0.4, 9.0, 8.0]
    assert kept([Image(i, one) for i, one in enumerate(noise)], 4) == [2, 6, 7, 8]


def test_of_equal_images_the_latest_are_kept():
    assert [kept([Image(i) for i in range(5)], n_images) for n_images in (0, 1, 3)] == [[], [4], [2, 3, 4]]


@pytest.mark.parametrize("seed", range(10))
def test_choice_does_not_depend_on_an_interruption(seed):
    rng = np.random.default_rng(seed)
    images = [Image(i, float(rng.lognormal()), int(rng.integers(30)), (LOW, HIGH)[rng.integers(2)]) for i in range(600)]
    once, again = EarlierImages(10), EarlierImages(10)
    for image in images[:400]:
        once.add(image)
    for image in sorted(once):
        again.add(image)
    for image in images[400:]:
        once.add(image)
        again.add(image)
    assert list(once) == list(again)
    assert max(sum(image.key == key for image in once) for key in (LOW, HIGH)) <= MAX_IMAGES


def test_fields_have_images_of_their_own_until_they_are_many():
    assert kept([Image(i, region=i % 2) for i in range(8)], 2) == [4, 6, 5, 7]
    many = kept([Image(i, region=i // 10) for i in range(200)], 10)
    assert many == list(range(100, 200))
