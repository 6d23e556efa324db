"""What telescopes and their imagers write, keyword by keyword, and that it is understood."""

from __future__ import annotations

import numpy as np
import pytest
from real_images import DATA, needs_real_images

from trap.errors import ImageError
from trap.images.formats.lofar import covered_seconds, lofar_cards
from trap.images.headers.read import read_metadata
from trap.images.image import read_image

NO_AXIS = {"CTYPE3": None, "CRVAL3": None, "CRPIX3": None, "CDELT3": None}
NO_BEAM = {"BMAJ": None, "BMIN": None, "BPA": None}
CLEAN = {"CLEANBMJ": 0.005, "CLEANBMN": 0.004, "CLEANBPA": 30.0}
AXIS4 = {
    "CTYPE4": "FREQ",
    "CRVAL4": 1.4e9,
    "CRPIX4": 1.0,
    "CDELT4": 2e6,
    "CTYPE3": "STOKES",
    "CRVAL3": 1.0,
    "CDELT3": 1.0,
}
OBIT = {
    "CTYPE3": "SPECLNMF",
    "CDELT3": 5e7,
    "NSPEC": 2,
    "FREL0001": 1.399e9,
    "FREH0001": 1.4e9,
    "FREL0002": 1.4e9,
    "FREH0002": 1.401e9,
}
LOFAR = {"ANTENNA": "HBA_DUAL", "NCORE": 41, "NREMOTE": 9, "NINTL": 2, "SUBBANDS": 10, "SUBBANDW": 195312.5}

HEADERS = {
    "AARTFAAC": {"TELESCOP": "AARTFAAC", **NO_AXIS, "RESTFRQ": 1.4e9, "RESTBW": 2e6, "TAU_TIME": 60.0},
    "AMI-LA": {"TELESCOP": "AMI-LA", **AXIS4, "RESTFRQ": 1.38e10, "EXPTIME": 60.0},
    "ASKAP": {"TELESCOP": "ASKAP", **AXIS4, "RESTFRQ": 1.420405751786e9, "DURATION": 60.0, "TIMESYS": "UTC"},
    "ATCA": {"TELESCOP": "ATCA", "CTYPE3": "FREQ-LSR", "RESTFREQ": 1.42e9, "EXPTIME": 60.0},
    "GMRT": {"TELESCOP": "GMRT", "EXPTIME": 60.0, **NO_BEAM},
    "KAT-7": {"TELESCOP": "KAT-7", "EXPTIME": 60.0},
    "LOFAR": {"TELESCOP": "LOFAR", **LOFAR, "TAU_TIME": 60.0, **NO_AXIS, "RESTFRQ": 1.4e9, "RESTBW": 2e6},
    "MeerKAT": {
        "TELESCOP": "MeerKAT",
        **OBIT,
        **NO_BEAM,
        **CLEAN,
        "EXPTIME": 60.0,
    },
    "MWA": {"TELESCOP": "MWA", **NO_AXIS, "CENTFREQ": 1400.0, "BANDWDTH": 2e6, "EXPOSURE": 60.0},
    "OVRO-LWA": {"TELESCOP": "OVRO_MMA", "EXPTIME": 60.0},
    "VLA": {"TELESCOP": "EVLA", **AXIS4, "RESTFRQ": 1.4e9, "DATE_END": "2013-04-29T18:46:42.494400"},
    "WSRT": {"TELESCOP": " ", "INSTRUME": "WESTERBO", "CTYPE1": "RA---NCP", "CTYPE2": "DEC--NCP", "EXPTIME": 60.0},
}
"""All of them describe the same image: 1.4 GHz, 2 MHz wide, 60 s, a beam of 18 by 14.4 arcsec at 30°."""


@pytest.mark.parametrize("telescope", HEADERS)
def test_every_telescope_is_understood(telescope, make_header):
    header = make_header(**HEADERS[telescope])
    if telescope == "GMRT":
        header["HISTORY"] = "AIPS   CLEAN BMAJ=  5.0000E-03 BMIN=  4.0000E-03 BPA=  30.00"
    metadata = read_metadata(header, "a.fits")
    assert metadata.telescope == telescope
    assert (metadata.freq_eff, metadata.freq_bw) == pytest.approx((1.4e9, 2e6))
    assert metadata.tau_time == pytest.approx(60.0)
    assert (metadata.beam.bmaj, metadata.beam.bmin, metadata.beam.bpa) == (0.005, 0.004, 30.0)
    assert metadata.stokes == 1
    assert (metadata.lofar is not None) is (telescope == "LOFAR")


def test_vlite_is_the_vla_with_its_duration(make_header):
    metadata = read_metadata(make_header(TELESCOP="VLITE", **NO_AXIS, PRIFREQ=340.8, DURATION=60.0))
    assert (metadata.telescope, metadata.freq_eff, metadata.tau_time) == ("VLA", 340.8e6, 60.0)


def test_unknown_telescope_keeps_its_name(make_header):
    assert read_metadata(make_header(TELESCOP="LOFAR20", INSTRUME="HBA")).telescope == "LOFAR20"


def test_lofar_image_names_its_stations(make_header):
    stations = read_metadata(make_header(TELESCOP="LOFAR", **LOFAR)).lofar
    assert (stations.antenna_set, stations.ncore, stations.nremote, stations.nintl) == ("HBA_DUAL", 41, 9, 2)
    assert (stations.subbands, stations.subbandwidth) == (10, 195312.5)


@pytest.mark.parametrize("missing", LOFAR)
def test_lofar_image_with_incomplete_stations_is_like_other_images(make_header, missing):
    assert read_metadata(make_header(TELESCOP="LOFAR", **LOFAR | {missing: None})).lofar is None


def test_impossible_number_of_stations_is_refused(make_header):
    with pytest.raises(ImageError, match=r"a\.fits: NCORE = -1: not a non-negative integer"):
        read_metadata(make_header(TELESCOP="LOFAR", **LOFAR | {"NCORE": -1}), "a.fits")


# LOFAR's tables of attributes


@pytest.mark.parametrize(
    ("intervals", "seconds"),
    [
        (
            [(0, 10), (5, 20), (15, 30), (35, 60), (40, 50), (200, 300), (290, 300), (310, 320), (310, 311), (315, 320)]
            + [(319, 320)] * 2,
            165,
        ),
        ([(100, 150), (100, 175), (200, 300)], 175),
        ([(0, 5)], 5),
    ],
)
def test_overlapping_times_count_once(intervals, seconds):
    start, end = np.array(intervals).T
    assert covered_seconds(start, end) == seconds


TABLES = {
    "LOFAR_OBSERVATION": {
        "OBSERVATION_START": [4.84e9 + 5, 4.84e9],
        "ANTENNA_SET": ["HBA_DUAL", "HBA_DUAL"],
        "CLOCK_FREQUENCY": [200.0, 200.0],
        "CLOCK_FREQUENCY_UNIT": ["MHz"],
        "NVIS_USED": np.array([[[1, 0], [0, 0], [2, 2], [0, 1]]]),
    },
    "LOFAR_ORIGIN": {"START": [0.0, 5.0], "END": [10.0, 20.0], "NUM_CHAN": [8, 8]},
    "LOFAR_ANTENNA": {"NAME": ["CS001", "CS002", "RS106", "DE601"], "STATION_ID": [0, 1, 2, 3]},
}


def test_attributes_become_the_keywords_of_lofars_fits_images():
    cards = lofar_cards(TABLES)
    # 4.84e9 s after the zero of MJD, which is Unix time + 3 506 716 800 s.
    assert cards["DATE-OBS"] == "2012-04-01T12:26:40"
    del cards["DATE-OBS"]
    assert cards == {
        "TIMESYS": "UTC",
        "TAU_TIME": 20.0,
        "ANTENNA": "HBA_DUAL",
        "SUBBANDS": 8,
        "SUBBANDW": 195312.5,
        "NCORE": 1,
        "NREMOTE": 1,
        "NINTL": 1,
    }


EARS = ["CS001HBA0", "CS001HBA1", "CS002HBA0", "CS002HBA1", "RS106HBA", "DE601HBA", "CS003HBA0"]
"""Antennas, of which core stations have two each; the last one was not used."""


@pytest.mark.parametrize(
    "tables",
    [
        {"LOFAR_STATION": {"NAME": ["CS001", "CS002", "RS106", "DE601", "CS003"]}},
        # The names of antennas need not have the names of stations.
        {
            "LOFAR_STATION": {"NAME": ["CS001", "CS002", "RS106", "DE601", "CS003"]},
            "LOFAR_ANTENNA": {"NAME": ["HBA"] * 7, "STATION_ID": [0, 0, 1, 1, 2, 3, 4]},
        },
        {
            "LOFAR_STATION": {"NAME": ["DE601", "CS003", "CS002", "RS106", "CS001"]},
            "LOFAR_ANTENNA": {"STATION_ID": [4, 4, 2, 2, 3, 0, 1]},
        },
        {"LOFAR_STATION": {}},
        {"LOFAR_STATION": {"NAME": ["CS001"]}},
        {"LOFAR_ANTENNA": {"NAME": EARS}},
    ],
    ids=str,
)
def test_station_number_is_the_row_in_the_table_of_stations(tables):
    tables = {
        "LOFAR_ANTENNA": {"NAME": EARS, "STATION_ID": [0, 0, 1, 1, 2, 3, 4]},
        "LOFAR_OBSERVATION": {"NVIS_USED": np.array([[[1, 2]] * 6 + [[0, 0]]])},
    } | tables
    assert lofar_cards(tables) == {"NCORE": 4, "NREMOTE": 1, "NINTL": 1}


def test_attributes_that_differ_between_subbands_are_refused():
    tables = TABLES | {"LOFAR_ORIGIN": {"NUM_CHAN": [8, 9]}}
    with pytest.raises(ImageError, match="NUM_CHAN must be the same for the whole image, got 8, 9"):
        lofar_cards(tables)


def test_tables_without_attributes_give_nothing():
    assert lofar_cards({}) == {}


# Files by other people


@needs_real_images
@pytest.mark.parametrize(
    ("name", "telescope", "freq_mhz"),
    [
        ("ami_grb130427a/AMILA_GRB130427A_20130429_vopt.fits", "AMI-LA", 15755.7),
        ("ami_grb130427a/AMILA_GRB130427A_20130504.fits", "AMI-LA", 16880.0),
        ("lofar_grb201006a/GRB201006A_t0002_cutout.fits", "LOFAR", 143.65),
        ("vast_simulated/epoch01.fits", "ASKAP", 888.0),
        ("vast_simulated/epoch04.fits", "ASKAP", 888.0),
        ("awkward/lofar_dirty_psf.fits", "LOFAR", 120.31),
    ],
)
def test_files_of_telescopes_read_as_they_should(name, telescope, freq_mhz):
    metadata = read_image(DATA / name).metadata
    assert metadata.telescope == telescope
    assert metadata.freq_eff / 1e6 == pytest.approx(freq_mhz, rel=1e-4)


@needs_real_images
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("missing_metadata.fits", "no frequency in the header"),
        ("wsrt_3C236_bad_date.fits", "DATE-OBS = '01-JUL-8': not a date"),
    ],
)
def test_incomplete_files_are_refused_with_the_missing_keyword(name, message):
    with pytest.raises(ImageError, match=f"{name}: {message}"):
        _ = read_image(DATA / "awkward" / name).metadata
