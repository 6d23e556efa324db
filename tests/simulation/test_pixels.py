import numpy as np
import pytest

from trap.images.beam import Beam
from trap.simulation.pixels import broadened_form, noise_transfer, render_noise, render_sources

BEAM = Beam(bmaj=0.006, bmin=0.004, bpa=30)
FORM = BEAM.quadratic_form(-0.001, 0.001)
SHAPE = (120, 160)


def render(x, y, flux, shape=SHAPE):
    return render_sources(np.array(x), np.array(y), np.array(flux), beam_form=FORM, shape=shape)


def test_source_at_a_pixel_centre_peaks_there_at_its_flux():
    image = render([50.0], [40.0], [3.0])
    assert image[40, 50] == image.max() == 3.0


def test_source_between_pixels_has_its_centre_there():
    image = render([50.3], [40.6], [3.0])
    rows, columns = np.indices(SHAPE)
    assert (image * columns).sum() / image.sum() == pytest.approx(50.3, abs=1e-6)
    assert (image * rows).sum() / image.sum() == pytest.approx(40.6, abs=1e-6)


def test_pixels_of_a_source_sum_to_flux_times_beam_area():
    assert render([50.3], [40.6], [3.0]).sum() == pytest.approx(3 * BEAM.area_pixels(-0.001, 0.001), rel=1e-6)


def test_sources_add_up():
    together = render([50.3, 53.0], [40.6, 41.0], [3.0, 1.0])
    assert together == pytest.approx(render([50.3], [40.6], [3.0]) + render([53.0], [41.0], [1.0]))


def test_many_sources_are_the_sum_of_their_beams():
    rng = np.random.default_rng(6)
    x, y, flux = rng.uniform(40, 60, 300), rng.uniform(50, 70, 300), rng.uniform(1, 2, 300)
    a, b, c = FORM
    rows, columns = np.indices(SHAPE)
    expected = np.zeros(SHAPE)
    for x_i, y_i, flux_i in zip(x, y, flux, strict=True):
        u, v = columns - x_i, rows - y_i
        expected += flux_i * np.exp(-0.5 * (a * u**2 + 2 * b * u * v + c * v**2))
    assert render(x, y, flux) == pytest.approx(expected, abs=1e-6)


def test_source_beyond_the_edge_leaves_its_tail():
    image = render([-1.0, 159.7], [60.0, 121.0], [1.0, 1.0])
    whole = render([59.0], [60.0], [1.0], shape=(120, 260))
    assert image[:100, :60] == pytest.approx(whole[:100, 60:120])
    assert image[119, 159] > 0.1


def test_no_sources_make_an_empty_image():
    assert not render([], [], []).any()


@pytest.mark.parametrize("lowered", [0.1, 0.5])
def test_broadened_source_keeps_its_integral_and_gains_the_same_variance_along_all_axes(lowered):
    def covariance(image):
        offsets = np.indices(SHAPE).reshape(2, -1) - np.array([[40.6], [50.3]])
        return (image.ravel() * offsets) @ offsets.T / image.sum()

    sharp = render([50.3], [40.6], [3.0])
    broad = render_sources(
        np.array([50.3]), np.array([40.6]), np.array([3 * (1 - lowered)]),
        beam_form=broadened_form(FORM, lowered), shape=SHAPE,
    )  # fmt: skip
    assert broad.sum() == pytest.approx(sharp.sum(), rel=1e-6)
    added = covariance(broad) - covariance(sharp)
    assert added == pytest.approx(added[0, 0] * np.eye(2), abs=1e-4)
    assert added[0, 0] > 0.2


def test_noise_has_unit_variance_and_the_correlation_of_the_beam():
    shape = (512, 512)
    noise = render_noise(np.random.default_rng(2), noise_transfer(FORM, shape), shape)
    assert noise.dtype == np.float32
    # Some 512² / (2 × 27) independent patches: 1 ± 0.01.
    assert noise.std() == pytest.approx(1, abs=0.04)
    # White noise under a kernel has the kernel's own correlation, which for a Gaussian is exp(−¼ qᵀAq).
    a, b, c = FORM
    for u, v in ((1, 0), (0, 2), (2, 2), (2, -2)):
        correlation = (noise * np.roll(noise, (v, u), axis=(0, 1))).mean() / noise.var()
        assert correlation == pytest.approx(np.exp(-(a * u**2 + 2 * b * u * v + c * v**2) / 4), abs=0.03)


@pytest.mark.parametrize("shape", [(101, 64), (64, 101)])
def test_noise_of_any_shape_is_drawn(shape):
    assert render_noise(np.random.default_rng(2), noise_transfer(FORM, shape), shape).shape == shape
