import pytest

from trap.images.headers.history_beam import beam_in_history

CLEAN = "AIPS   CLEAN BMAJ=  1.3333E-02 BMIN=  7.7778E-03 BPA= -12.50"


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        # Widths in arcsec.
        ([CLEAN], (48.0, 28.0, -12.5)),
        ([CLEAN, "CONVL BMAJ=  50.0000 BMIN=  49.0000 BPA=   3.0/Output beam"], (50.0, 49.0, 3.0)),
        (["CONVL BMAJ=  50.0000 BMIN=  49.0000 BPA=   3.0", CLEAN], (48.0, 28.0, -12.5)),
        (["IMAGR BMAJ =   5.0000, BMIN =   4.0000, BPA =  -7.0"], (5.0, 4.0, -7.0)),
        ([CLEAN, "CONVL BMAJ=   0.0000 BMIN=   0.0000 BPA=   0.0"], (48.0, 28.0, -12.5)),
        ([CLEAN, "PUTHEAD BMAJ     =  0.00000E+00      / old"], (48.0, 28.0, -12.5)),
        (["RESTOR: Beam =  5.303E+01 x  3.266E+01 arcsec, pa =  6.485E+00 degrees"], (53.03, 32.66, 6.485)),
        (["Fitted beam used in", "> restoration: 40.0212 by 24.6571 (arcsec) at pa 20.6164 (deg)"],
         (40.0212, 24.6571, 20.6164)),
        (["2020  Fitted beam used in restoration: 40.0212 by 24.", ">6571 (arcsec) at pa 20.6164 (deg)"],
         (40.0212, 24.6571, 20.6164)),
        (["Beam used in restoration: 1.5 by 1.25 (arcmin) at pa -54 (deg)"], (90.0, 75.0, -54.0)),
        (["Beam : 5.2 arcsec, 4.1 arcsec, -30.5 deg"], (5.2, 4.1, -30.5)),
        (["restored with BMAJ=5.0 arcsec BMIN=4.0 arcsec BPA=3"], (5.0, 4.0, 3.0)),
        (["BMAJ= 1.0D-02 BMIN= 5.0D-03 BPA= 1.0D+01"], (36.0, 18.0, 10.0)),
    ],
)  # fmt: skip
def test_last_beam_in_the_history_is_read_in_the_form_of_every_imager(lines, expected):
    bmaj, bmin, bpa = beam_in_history(lines)
    assert (bmaj * 3600, bmin * 3600, bpa) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    "lines",
    [
        [],
        ["SYNTHESIZED BEAM = 49 X 28 ARCSEC"],
        ["PUTHEAD BMAJ     =  7.77778E-03      / new", "PUTHEAD BMIN     =  7.77778E-03      / new"],
        ["CONVL BMAJ=   0.0000 BMIN=   0.0000 BPA=   0.0"],
        ["RESTOR: No Gaussian"],
        ["BMAJ= wide BMIN= narrow BPA= north"],
    ],
)
def test_history_without_a_beam_has_none(lines):
    assert beam_in_history(lines) is None
