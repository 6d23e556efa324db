from __future__ import annotations

import numpy as np
import pytest
from real_images import DATA, needs_real_images

from trap.catalogues import Flag
from trap.errors import ImageError
from trap.finder.finder import find_by_fdr, find_by_threshold, measure_detected_in, measure_positions
from trap.finder.maps import significance_map
from trap.images.image import Image


@pytest.fixture
def free(config):
    """As the finder that stands alone searches."""
    return config.model_copy(update={"force_beam": False, "back_size_x": 64, "back_size_y": 64})


def test_noise_maps_give_no_detection_by_fdr(sky, free):
    sky.nx = sky.ny = 192
    n_found = sum(len(find_by_fdr(sky.image(sky.noise(seed)), free, alpha=0.01).measurements) for seed in range(10))
    # At most α of such images should give any: 0.1 expected in 10.
    assert n_found == 0


@pytest.mark.parametrize("alpha", [0.1, 0.01])
def test_share_of_noise_detected_by_fdr_stays_below_alpha(field, sky, stamped, free, alpha):
    """Of pixels, as the FDR counts them; of sources it is some two to three times as high, a false one being small."""
    x, y = field
    truth, pixels, false_pixels, sources, false_sources = stamped(x, y, np.geomspace(3e-3, 5e-2, x.size)), 0, 0, 0, 0
    for seed in range(3):
        image = sky.image(truth + sky.noise(seed))
        found = find_by_fdr(image, free, alpha=alpha)
        detected = significance_map(image, found.background, free) >= found.detection_threshold
        pixels, false_pixels = pixels + detected.sum(), false_pixels + (detected & (truth < 0.1 * sky.rms)).sum()
        table = found.measurements
        distance = np.hypot(table.x[:, np.newaxis] - x, table.y[:, np.newaxis] - y).min(axis=1)
        sources, false_sources = sources + len(table), false_sources + (distance > sky.bmaj).sum()
    assert sources > 400
    assert false_pixels / pixels < alpha
    assert false_sources / sources < 4 * alpha


def test_fdr_reaches_deeper_with_more_sources(field, sky, stamped, free):
    x, y = field
    thresholds = [
        find_by_fdr(sky.image(stamped(x[:n], y[:n], 0.05) + sky.noise(1)), free, alpha=0.01).detection_threshold
        for n in (2, x.size)
    ]
    assert thresholds[0] > thresholds[1] > 2.5


def test_fdr_without_detection_has_an_infinite_threshold_and_a_background(sky, free):
    found = find_by_fdr(sky.image(sky.noise(1)), free, alpha=0.01)
    assert found.detection_threshold == np.inf
    assert np.median(found.background.mesh_rms) == pytest.approx(sky.rms, rel=0.1)


def test_image_without_a_beam_is_rejected(sky, free):
    header = sky.header()
    del header["BMAJ"]
    image = type(sky.image(sky.noise(1))).from_array(sky.noise(1), header)
    with pytest.raises(ImageError, match="no restoring beam"):
        find_by_fdr(image, free, alpha=0.01)


def test_sources_of_another_image_are_measured_on_any_grid(sky, free):
    """A detection image rotated against the image, with a source that has gone, and one that is negative."""
    image = sky.image(sky.sources([100, 180], [100, 60], [0.05, -0.03]) + sky.noise(1))
    ra, dec = image.wcs.all_pix2world([100, 180, 60], [100, 60, 190], 0)
    sky.rotation = 40.0
    blank = sky.image(np.zeros((sky.ny, sky.nx)))
    x, y = blank.wcs.all_world2pix(ra, dec, 0)
    detection = sky.image(sky.sources(x, y, [0.1, 0.1, 0.1]) + sky.noise(2))
    found = measure_detected_in(detection, image, free)
    fits = found.measurements
    order = [int(np.hypot(fits.x - x, fits.y - y).argmin()) for x, y in ((100, 100), (180, 60), (60, 190))]
    for row, flux in zip(order, (0.05, -0.03, 0.0), strict=True):
        assert abs(fits.f_int[row] - flux) < 4 * fits.f_int_err[row]
    assert sorted(fits.island) == [1, 2, 3]
    assert found.detected_in is detection
    assert found.detection_background is not found.background


def test_wing_of_a_source_beyond_the_searched_area_is_not_measured_elsewhere(sky, free):
    narrow = free.model_copy(update={"margin": 20})
    detection = sky.image(sky.sources([18.0, 128], [128, 128], [0.5, 0.5]) + sky.noise(1))
    assert (find_by_threshold(detection, narrow).measurements.flags & Flag.OUTSIDE).any()
    assert len(measure_detected_in(detection, sky.image(sky.noise(2)), narrow).measurements) == 1


def test_positions_are_measured_next_to_detected_sources(sky, free):
    # The second position, 1.5 beams from a source of S/N 500, is empty.
    image = sky.image(sky.sources([128], [128], [0.5]) + sky.noise(1))
    ra, dec = image.wcs.all_pix2world([128, 135.0], [128, 128.0], 0)
    source, beside = measure_positions(image, ra, dec, free).measurements.f_int
    assert source == pytest.approx(0.5, rel=0.02)
    assert abs(beside) < 5 * sky.rms


@needs_real_images
def test_source_of_another_epoch_is_measured_as_absent(free):
    epoch_1, epoch_2 = (Image(DATA / f"vast_simulated/epoch{number}.fits") for number in ("01", "02"))
    fits = measure_detected_in(epoch_2, epoch_1, free).measurements
    # Jy in epoch 01, from the truth that comes with the images; the fourth is 12″ from the fifth.
    truth = {(150.0206, -30.0161): 2.0, (149.9834, -29.9778): 2.0, (150.0207, -30.0): 0.0, (150.00385, -30.0): 0.0,
             (150.0001, -30.0): 1.0, (150.0205, -29.9778): 0.0, (149.9834, -30.0161): 2.0}  # fmt: skip
    assert len(fits) == len(truth)
    for (ra, dec), flux in truth.items():
        row = int(np.hypot(fits.ra - ra, fits.dec - dec).argmin())
        assert abs(fits.f_int[row] - flux) < max(0.005, 0.005 * flux)


def test_holes_are_measured_as_sources_of_negative_flux(sky, config):
    image = sky.image(sky.sources([60, 180.3], [70, 150.6], [0.1, -0.05]) + sky.noise(8))
    found = find_by_threshold(image, config.model_copy(update={"negative": "I"})).measurements
    assert found.f_peak == pytest.approx([0.1, -0.05], abs=4 * sky.rms)
    assert found.x == pytest.approx([60, 180.3], abs=0.1)
    assert found.significance == pytest.approx(found.f_peak / sky.rms, rel=0.1)
    assert found.f_peak_err.min() > 0
    assert found.island.tolist() == [1, -1]


def test_image_of_holes_alone_is_measured(sky, config):
    image = sky.image(sky.noise(9) - sky.sources([100], [100], [0.05]))
    assert len(find_by_threshold(image, config).measurements) == 0
    found = find_by_threshold(image, config.model_copy(update={"negative": "I"}))
    assert found.measurements.f_int == pytest.approx([-0.05], abs=4 * sky.rms)
