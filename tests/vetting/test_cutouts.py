"""Candidates in images whose surroundings are drawn by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from astropy.io import fits

from trap.config import SourceExtractionConfig
from trap.extraction.mesh import Background
from trap.images.image import Image, read_image
from trap.signs import Signs
from trap.vetting.cutouts import Targets, look_around
from trap.vetting.score import score_candidates, sign_words
from trap.vetting.surroundings import reach_of_source

SIZE, WIDTH, NOISE = 240, 4.0, 1e-3
BRIGHT = (120.0, 120.0)
NOTHING_KNOWN = np.empty((3, 0))
CONFIG = SourceExtractionConfig(extraction_radius_pix=0.0, margin=0)
HEADER = fits.Header(
    {
        "CTYPE1": "RA---SIN", "CRVAL1": 10.0, "CRPIX1": 120.5, "CDELT1": -5 / 3600, "CUNIT1": "deg",
        "CTYPE2": "DEC--SIN", "CRVAL2": 45.0, "CRPIX2": 120.5, "CDELT2": 5 / 3600, "CUNIT2": "deg",
        "BMAJ": 20 / 3600, "BMIN": 20 / 3600, "BPA": 0.0, "BUNIT": "JY/BEAM", "FREQ": 1.4e9, "RESTFRQ": 1.4e9,
        "DATE-OBS": "2026-01-01T00:00:00", "TELESCOP": "TEST",
    }
)  # fmt: skip
y, x = np.mgrid[:SIZE, :SIZE].astype(float)


def beam(column, row, peak):
    return peak * np.exp(-4 * math.log(2) * ((x - column) ** 2 + (y - row) ** 2) / WIDTH**2)


def white(seed=1):
    return NOISE * np.random.default_rng(seed).standard_normal((SIZE, SIZE))


def look(
    pixels, *, at=(160.0, 120.0), peak=0.02, bright=BRIGHT, known=NOTHING_KNOWN, config=CONFIG, level=0.0, header=HEADER
):
    mesh = np.full((8, 8), NOISE, np.float32)
    background = Background(
        mesh_mean=np.full((8, 8), level, np.float32),
        mesh_rms=mesh,
        shape=pixels.shape,
        origin=(0, 0),
        extent=(SIZE, SIZE),
        cell=(30, 30),
    )
    targets = Targets.of(x=[at[0]], y=[at[1]], peak=[peak], bright_x=[bright[0]], bright_y=[bright[1]])
    image = Image.from_array(pixels.astype(np.float32), header)
    seen = look_around(image, targets, known=known, background=background, config=config)
    return {name: values[0] for name, values in seen.as_dict().items()}


def test_candidate_in_noise_far_above_it_has_no_sign():
    seen = look(white() + beam(160, 120, 0.02))
    assert seen["ring_sigma"] == pytest.approx(20, rel=0.1)
    assert abs(seen["mirror_ratio"]) < 0.25
    assert seen["negative_ratio"] < 0.25
    assert seen["gap_distance"] == math.inf


def test_ring_around_the_bright_source_is_as_high_as_the_candidate():
    distance = np.hypot(x - 120, y - 120)
    ring = 0.02 * np.exp(-4 * math.log(2) * ((distance - 40) / WIDTH) ** 2)
    seen = look(white() + ring)
    # Within 0.35 beams of its crest, a ring with the profile of the beam has 0.90 of its height, root mean square.
    assert seen["ring_sigma"] == pytest.approx(1 / 0.90, rel=0.03)
    assert seen["mirror_ratio"] == pytest.approx(1, abs=0.2)


def test_background_is_subtracted():
    seen = look(white() + beam(160, 120, 0.02) + 0.5, level=0.5)
    assert seen["ring_sigma"] == pytest.approx(20, rel=0.1)


@pytest.mark.parametrize("sign", [1, -1])
def test_mirrored_peak_keeps_its_sign_relative_to_the_candidate(sign):
    pixels = sign * (beam(160, 120, 0.02) + beam(80, 120, -0.016))
    assert look(white() + pixels, peak=sign * 0.02)["mirror_ratio"] == pytest.approx(-0.8, abs=0.2)


def test_known_source_at_the_mirrored_place_or_in_the_ring_is_no_sign():
    row = 120 + 40 * math.sin(math.pi / 3)
    pixels = beam(160, 120, 0.02) + beam(80, 120, 0.1) + beam(140, row, 0.1)
    known = np.array([[80.0, 140.0], [120.0, row], [2.0, 2.0]])
    seen = look(white() + pixels, known=known)
    assert math.isnan(seen["mirror_ratio"])
    assert seen["ring_sigma"] == pytest.approx(20, rel=0.1)
    assert look(white() + pixels)["ring_sigma"] < 10


def test_negative_neighbour_has_its_depth_and_its_distance():
    seen = look(white() + beam(160, 120, 0.02) + beam(160, 130, -0.03))
    assert seen["negative_ratio"] == pytest.approx(1.5, abs=0.15)
    assert seen["negative_distance"] == pytest.approx(2.5, abs=0.3)


def test_gap_is_measured_in_beams_and_has_no_part_in_the_others():
    pixels = white() + beam(160, 120, 0.02)
    pixels[:, 172:] = np.nan
    seen = look(pixels)
    assert seen["gap_distance"] == pytest.approx(3)
    assert seen["ring_sigma"] == pytest.approx(20, rel=0.1)


def test_pixels_outside_the_searched_area_are_not_looked_at():
    pixels = white() + beam(160, 120, 0.02)
    pixels[:, 172:] = -1.0
    seen = look(pixels, config=CONFIG.model_copy(update={"margin": SIZE - 172}))
    assert seen["negative_ratio"] < 0.25
    assert seen["ring_sigma"] == pytest.approx(20, rel=0.1)


def test_own_wings_along_a_long_beam_are_not_in_the_ring():
    """The beam is four times as long as wide, along the ring."""
    long = 4 * math.log(2) * (((x - 160) / WIDTH) ** 2 + ((y - 120) / (4 * WIDTH)) ** 2)
    header = HEADER.copy()
    header["BMAJ"] = 4 * header["BMIN"]
    seen = look(white() + 0.02 * np.exp(-long), bright=(120.0, 120.0), header=header)
    assert seen["ring_sigma"] == pytest.approx(20, rel=0.1)


def test_crowd_of_known_sources_gives_no_sign():
    """One source of like strength is a beam away, a hundred others are around, and the bright one has no sidelobes."""
    rng = np.random.default_rng(7)
    places = np.column_stack([rng.uniform(5, 235, (100, 2)), rng.uniform(0.006, 0.06, 100)])
    places = places[np.hypot(places[:, 0] - 160, places[:, 1] - 120) > 2 * WIDTH]
    places = np.vstack([places, [(160, 124, 0.02), (*BRIGHT, 1.0)]])
    pixels = white() + beam(160, 120, 0.02) + sum(beam(*place) for place in places)
    known = np.array([places[:, 0], places[:, 1], reach_of_source(places[:, 2] / NOISE, np.ones(len(places)))])
    seen = look(pixels, known=known)
    signs = Signs.of(
        bright_ratio=50.0, bright_distance=10.0, **{k: [v] for k, v in seen.items() if k != "gap_distance"}
    )
    assert seen["ring_sigma"] > 15
    assert sign_words(signs, [20.0], [12.0]) == [""]
    assert score_candidates(signs, [20.0], [12.0], [0.0]) > 0.99


def test_without_a_bright_source_there_is_no_ring():
    seen = look(white() + beam(160, 120, 0.02), bright=(math.nan, math.nan))
    assert np.isnan([seen["ring_sigma"], seen["mirror_ratio"]]).all()


def test_mirrored_place_off_the_image_is_unknown():
    assert math.isnan(look(white(), at=(100.0, 120.0), bright=(20.0, 120.0))["mirror_ratio"])


def test_candidate_at_the_corner_of_the_image():
    seen = look(white(), at=(0.2, 239.4), bright=(10.0, 200.0))
    assert math.isfinite(seen["negative_ratio"])
    assert seen["gap_distance"] == math.inf


def test_cutouts_of_a_file_give_what_the_whole_image_gives(tmp_path):
    pixels = (white() + beam(160, 120, 0.02) + beam(120, 120, 1.0)).astype(np.float32)
    fits.writeto(tmp_path / "a.fits", pixels, HEADER)
    mesh = np.full((8, 8), NOISE, np.float32)
    background = Background(
        mesh_mean=0 * mesh, mesh_rms=mesh, shape=(SIZE, SIZE), origin=(0, 0), extent=(SIZE, SIZE), cell=(30, 30)
    )
    few = Targets.of(x=[160.0], y=[120.0], peak=[0.02], bright_x=[120.0], bright_y=[120.0])
    many = Targets.concatenate([few] * 3)
    arguments = {"known": NOTHING_KNOWN, "background": background, "config": CONFIG}
    image = read_image(tmp_path / "a.fits")
    from_cutouts = look_around(image, few, **arguments)
    assert "data" not in image.__dict__
    whole = read_image(tmp_path / "a.fits")
    from_memory = look_around(whole, many, **arguments)
    assert "data" in whole.__dict__
    for name, values in from_cutouts.as_dict().items():
        assert values[0] == getattr(from_memory, name)[0], name
