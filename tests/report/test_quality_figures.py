import pytest

from trap.config import PipelineConfig
from trap.report.quality_figures import quality_figures

IMAGE = {
    "rms_qc": 2e-4, "deltay": 5 / 3600, "rb_smaj": 15 / 3600, "rb_smin": 10 / 3600, "n_negative": 3,
    "n_sources": 40, "n_beams": 1000, "stokes": "I",
}  # fmt: skip


def figures(image=None, calibration=None, **quality):
    config = PipelineConfig().with_options(quality=quality)
    return {each.check: each for each in quality_figures(IMAGE | (image or {}), calibration or {}, config)}


@pytest.mark.parametrize(
    ("check", "image", "quality"),
    [
        ("rms", {}, {"rms_est_max": 1e-4}),
        ("beam", {"rb_smin": 2 / 3600}, {}),  # a width of 0.8 pixels
        ("beam", {"rb_smaj": 200 / 3600, "rb_smin": 190 / 3600}, {}),  # half widths of 40 pixels
        ("beam", {"rb_smaj": 140 / 3600}, {}),  # an axis ratio of 14
        ("beam_shape", {"rb_smaj": 40 / 3600}, {}),  # an axis ratio of 4
        ("negative", {"n_negative": 11}, {}),
        ("crowding", {"n_sources": 101}, {}),
    ],
)
def test_value_beyond_its_limit_fails(check, image, quality):
    assert figures()[check].verdict == "passed"
    assert figures(image, **quality)[check].verdict == "failed"


def test_axes_of_the_beam_are_in_pixels():
    assert figures()["beam"].value == "half width 3 pix, minor axis 4 pix, axis ratio 1.5"


def test_unknown_values_have_no_verdict():
    unknown = figures(dict.fromkeys(IMAGE) | {"stokes": "I"})
    assert {each.verdict for each in unknown.values()} == {""}


def test_negative_sources_of_other_stokes_parameters_are_no_fault():
    assert figures({"stokes": "V", "n_negative": 99})["negative"].verdict == ""


def test_settings_are_named_with_their_values():
    found = figures(check_beam_shape="off", max_negative=7)
    assert found["beam_shape"].setting == "quality.check_beam_shape = off"
    assert "at most 7" in found["negative"].limit


def test_calibration_has_its_figures():
    found = figures(
        calibration={"gain": 1.04, "position_scatter": 0.5, "compactness": None, "patch_gain": 0.02, "patch_snr": 1.0}
    )
    assert (found["gain"].value, found["position_scatter"].value, found["smearing"].value) == ("1.04", "0.5″", "–")
    assert (found["patch"].value, found["patch"].verdict) == ("2.0%, 1 σ", "passed")
