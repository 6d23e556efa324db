from datetime import UTC, datetime

import pytest
from astropy.io.fits import Card
from structlog.testing import capture_logs

from trap.config import Given
from trap.errors import ImageError
from trap.images.beam import Beam
from trap.images.headers.read import read_metadata

START = datetime(2013, 4, 29, 18, 45, 42, 494400, tzinfo=UTC)
NO_FREQUENCY = {"CTYPE3": None, "CRVAL3": None, "CRPIX3": None, "CDELT3": None}
C = 299_792_458.0


@pytest.fixture
def read(make_header):
    """A function that reads the metadata of a complete header with some keywords changed."""
    return lambda **changes: read_metadata(make_header(**changes), "a.fits")


def test_plain_header_is_read(read):
    metadata = read()
    assert metadata.url == "a.fits"
    assert metadata.taustart_ts == START
    assert (metadata.freq_eff, metadata.freq_bw) == (1.4e9, 2e6)
    assert metadata.beam == Beam(bmaj=0.005, bmin=0.004, bpa=30)
    assert (metadata.centre_ra, metadata.centre_dec) == pytest.approx((350.85, 58.815))
    assert (metadata.deltax, metadata.deltay) == pytest.approx((-0.001, 0.001))
    assert (metadata.nx, metadata.ny, metadata.stokes) == (60, 40, 1)
    assert (metadata.telescope, metadata.unit, metadata.tau_time) == ("AMI-LA", "JY/BEAM", 0.0)


# Frequency


def test_frequency_axis_has_precedence_over_the_rest_frequency(read):
    # ASKAP and AMI put the frequency of a spectral line into RESTFRQ.
    assert read(RESTFRQ=1.420405751786e9, CRVAL3=888e6).freq_eff == 888e6


@pytest.mark.parametrize("axis", [3, 4, 5])
def test_frequency_axis_may_have_any_number(read, axis):
    changes = {f"CTYPE{axis}": "FREQ", f"CRVAL{axis}": 150e6, f"CDELT{axis}": -195e3, f"CRPIX{axis}": 1.0}
    metadata = read(**NO_FREQUENCY | changes)
    assert (metadata.freq_eff, metadata.freq_bw) == (150e6, 195e3)


def test_frequency_is_taken_at_the_first_plane(read):
    # The reference is plane 11 of 2 MHz each.
    assert read(CRPIX3=11.0).freq_eff == 1.4e9 - 20e6


def test_unit_of_the_frequency_axis_is_applied(read):
    metadata = read(CRVAL3=1.4, CDELT3=0.002, CUNIT3="GHz")
    assert (metadata.freq_eff, metadata.freq_bw) == pytest.approx((1.4e9, 2e6))


@pytest.mark.parametrize(
    ("ctype", "velref", "frequency"),
    [
        # At a tenth of the speed of light away from 1.5 GHz:
        ("VOPT", None, 1.5e9 / 1.1),
        ("VOPT-F2W", None, 1.5e9 / 1.1),
        ("FELO-HEL", None, 1.5e9 / 1.1),
        ("VRAD", None, 1.5e9 * 0.9),
        ("VELO", None, 1.5e9 * (0.9 / 1.1) ** 0.5),
        ("VELO-LSR", 257, 1.5e9 * 0.9),
        ("VELO-LSR", 1, 1.5e9 / 1.1),
    ],
)
def test_velocity_axis_is_converted_by_its_convention(read, ctype, velref, frequency):
    metadata = read(CTYPE3=ctype, CRVAL3=0.1 * C, CDELT3=0.0, RESTFRQ=1.5e9, RESTBW=3e6, VELREF=velref)
    assert metadata.freq_eff == pytest.approx(frequency, rel=1e-12)
    assert metadata.freq_bw == 3e6


def test_bandwidth_of_a_velocity_axis_is_the_step_to_the_next_channel(read):
    metadata = read(CTYPE3="VRAD", CRVAL3=0.0, CDELT3=-3.0, CUNIT3="km/s", RESTFREQ=1e9)
    assert metadata.freq_bw == pytest.approx(1e9 * 3e3 / C)


@pytest.mark.parametrize("keyword", ["RESTFRQ", "RESTFREQ"])
def test_rest_frequency_is_used_without_a_frequency_axis(read, keyword):
    metadata = read(**NO_FREQUENCY, **{keyword: 1.5e9}, RESTBW=4e6)
    assert (metadata.freq_eff, metadata.freq_bw) == (1.5e9, 4e6)


def test_unknown_bandwidth_is_taken_as_a_megahertz_with_one_warning(read):
    with capture_logs() as logs:
        assert read(**NO_FREQUENCY, RESTFRQ=1.5e9).freq_bw == 1e6
    assert logs == [{"event": "bandwidth_assumed", "log_level": "warning", "image": "a.fits", "freq_bw": 1e6}]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (NO_FREQUENCY, "no frequency in the header"),
        ({"CRVAL3": 0.0}, r"CRVAL3 = 0.0: the frequency must be .*, got 0.0 Hz"),
        ({"CRVAL3": -1e9}, r"CRVAL3 = -1000000000.0"),
        ({"CRVAL3": 1.4}, r"CRVAL3 = 1.4: the frequency must be 1000 to 1e\+18 Hz, got 1.4 Hz"),
        ({"CRVAL3": 2e-162}, r"CRVAL3 = 2e-162"),
        ({"CRVAL3": "high"}, "CRVAL3 = 'high': not a number"),
        ({"CRVAL3": None}, "no CRVAL3"),
        ({"CUNIT3": "deg"}, "CUNIT3 = 'deg': not a unit that converts to Hz"),
        ({"CUNIT3": "parsnips"}, "CUNIT3 = 'parsnips'"),
        ({"CTYPE3": "VOPT"}, "no frequency in the header"),
        ({"CTYPE3": "FREQ-TAB"}, "CTYPE3 = 'FREQ-TAB': frequencies in a table cannot be read"),
        (NO_FREQUENCY | {"RESTFRQ": "high"}, "RESTFRQ = 'high': not a number"),
        ({"CDELT3": "wide", "CRPIX3": 3.0}, "CDELT3 = 'wide': not a number"),
        ({"CTYPE3": "VELO", "CRVAL3": -2 * C, "RESTFRQ": 1e9}, "CRVAL3 = -599584916.0: a velocity above"),
    ],
)
def test_impossible_frequency_is_refused(read, changes, message):
    with pytest.raises(ImageError, match=message):
        read(**changes)


@pytest.mark.parametrize(
    ("ctype", "cunit", "factor"),
    [
        *(("FREQ", "HZ", 1.0), ("FREQ", "MHZ", 1e6), ("FREQ", "mhz", 1e6), ("FREQ", "Gigahertz", 1e9)),
        *(("FREQ", "KHz", 1e3), ("VRAD", "KM/S", 1e3), ("VRAD", "M/S", 1.0), ("VRAD", "km.s**-1", 1e3)),
    ],
)
def test_unit_of_the_spectral_axis_is_read_in_any_case_and_spelling(read, ctype, cunit, factor):
    # 1.4 GHz, or a tenth of the speed of light from a line at 1.4 GHz / 0.9.
    value, step = (1.4e9, 2e6) if ctype == "FREQ" else (0.1 * C, -2e6 / (1.4e9 / 0.9) * C)
    metadata = read(CTYPE3=ctype, CUNIT3=cunit, CRVAL3=value / factor, CDELT3=step / factor, RESTFRQ=1.4e9 / 0.9)
    assert (metadata.freq_eff, metadata.freq_bw) == pytest.approx((1.4e9, 2e6))


def test_given_frequency_replaces_a_table_of_frequencies(make_header):
    given = Given(freq_eff=1.4e9, freq_bw=1e6)
    assert read_metadata(make_header(CTYPE3="FREQ-TAB"), given=given).freq_eff == 1.4e9


# Time


@pytest.mark.parametrize("text", ["2013-04-29T18:45:42.4944", '"2013-04-29T18:45:42.4944";"2013-05-01"'])
def test_start_is_read(read, text):
    assert read(DATE_OBS=text).taustart_ts == START


@pytest.fixture
def read_card(make_header):
    """A function that reads the metadata of a header with a card in place of its own of that keyword."""

    def read(card, **changes):
        header = make_header(**changes)
        keyword = card.partition("=")[0].strip()
        header.remove(keyword, ignore_missing=True)
        header.append(Card.fromstring(card))
        return read_metadata(header, "a.fits")

    return read


@pytest.mark.parametrize(
    ("card", "message"),
    [
        ("DATE-OBS= 'never closed", "DATE-OBS = 'never closed': not a date"),
        ("CRVAL1  = 12 34", "CRVAL1 = '12 34': not a number"),
        ("CRVAL3  = 'high", "CRVAL3 = 'high': not a number"),
        ("CTYPE1  = 'never closed", "the celestial projection cannot be used: Unmatched"),
    ],
)
def test_required_card_that_cannot_be_parsed_is_named(read_card, card, message):
    with pytest.raises(ImageError, match=f"a.fits: {message}"):
        read_card(card)


@pytest.mark.parametrize(
    "card",
    [
        "EXPTIME = 12.5 s",
        "TAU_TIME= ten",
        "TIMESYS = 'never closed",
        "DATE-END= 'never closed",
        "TELESCOP= 'never closed",
        "OBSERVER= never quoted",
        "BPA     = 3,5",
        "VELREF  = #",
        "CDELT3  = 2 MHz",
        "RESTFRQ = 1,4e9",
        "NCORE   = many",
        "EQUINOX = now / ICRS has none",
    ],
)
def test_optional_card_that_cannot_be_parsed_costs_a_warning(read_card, card):
    with capture_logs() as logs:
        metadata = read_card(card, RADESYS="ICRS", ANTENNA="HBA_DUAL")
    assert (metadata.taustart_ts, metadata.freq_eff) == (START, 1.4e9)
    keyword = card.partition("=")[0].strip()
    named = [log for log in logs if keyword in log.get("keyword", "") + log.get("reason", "")]
    # Some keywords have no meaning for this image.
    assert named or keyword in ("OBSERVER", "VELREF", "RESTFRQ", "NCORE", "EQUINOX")


def test_beam_that_cannot_be_parsed_is_no_beam(read_card):
    with capture_logs() as logs:
        assert read_card("BMAJ    = 0.005 deg").beam is None
    assert {log["event"] for log in logs} == {"card_unreadable", "keyword_ignored"}


@pytest.mark.parametrize(
    ("card", "field", "expected"),
    [
        ("TELESCOP= VLA", "telescope", "VLA"),
        ("DATE-OBS= 2013-04-29T18:45:42.4944 / start", "taustart_ts", START),
        ("BUNIT   = Jy/beam", "unit", "Jy/beam"),
        ("TIMESYS = utc / never quoted", "taustart_ts", START),
    ],
)
def test_text_without_quotes_is_read(read_card, card, field, expected):
    assert getattr(read_card(card), field) == expected


@pytest.mark.parametrize(
    "keyword",
    [
        *("BPA", "EXPTIME", "TAU_TIME", "DATE-END", "TIMESYS", "TELESCOP", "BUNIT", "CUNIT1", "CUNIT3", "CDELT3"),
        *("RADESYS", "LONPOLE", "RESTFRQ", "INSTRUME", "CRPIX3", "PC1_2", "PV2_1", "ANTENNA", "NCORE", "HISTORY"),
    ],
)
def test_keyword_without_a_value_is_missing(make_header, keyword):
    header = make_header(TELESCOP="VLA")
    without = header.copy()
    without.remove(keyword, ignore_missing=True)
    header.remove(keyword, ignore_missing=True)
    header.append(Card.fromstring(f"{keyword:8}=" if keyword != "HISTORY" else keyword))
    metadata = read_metadata(header, "a.fits")
    assert metadata == read_metadata(without, "a.fits")
    assert "None" not in (metadata.unit, metadata.telescope)


def test_start_without_a_value_is_in_the_mjd(make_header):
    header = make_header(MJD_OBS=None, DATE_OBS=None, **{"MJD-OBS": 56411.75})
    header.append(Card.fromstring("DATE-OBS="))
    assert read_metadata(header).taustart_ts == datetime(2013, 4, 29, 18, tzinfo=UTC)


@pytest.mark.parametrize("text", ["01-JUL-8", "unknown", "2013-02-30"])
def test_start_that_is_no_date_is_in_the_mjd_with_a_warning(read, text):
    with capture_logs() as logs:
        metadata = read(DATE_OBS=text, **{"MJD-OBS": 56411.75})
    assert metadata.taustart_ts == datetime(2013, 4, 29, 18, tzinfo=UTC)
    assert [log["event"] for log in logs] == ["keyword_ignored"]


@pytest.mark.parametrize("keyword", ["CRVAL1", "CRPIX2", "CDELT1", "CTYPE2"])
def test_axis_of_the_sky_without_a_value_is_refused(make_header, keyword):
    header = make_header()
    header.remove(keyword)
    header.append(Card.fromstring(f"{keyword:8}="))
    with pytest.raises(ImageError, match=f"{keyword} has no value|Unmatched celestial axes"):
        read_metadata(header)


def test_start_in_atomic_time_is_converted_to_utc(read):
    # 35 leap seconds in 2013.
    assert (START - read(TIMESYS="TAI").taustart_ts).total_seconds() == 35


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"DATE_OBS": "2013-04-29T18:45:42.4944(UTC)", "TIMESYS": "TAI"}, 0.0),
        ({"DATE_OBS": "2013-04-29T18:45:42.4944 TAI"}, 35.0),
        ({"DATE_OBS": "2013-04-29T18:45:42.4944(TAI)", "TIMESYS": "UTC(NIST)"}, 35.0),
        ({"TIMESYS": "TT(TAI)"}, 67.184),
        ({"TIMESYS": "GPS"}, 16.0),
        ({"DATE_OBS": "2013-04-29(TAI)", "TIME-OBS": "18:45:42.4944"}, 35.0),
        ({"DATE_OBS": "2013-04-29(TAI)", "UT": "18:45:42.4944"}, 0.0),
    ],
)
def test_time_scale_may_have_a_realization_or_stand_after_the_date(read, changes, seconds):
    # 35 leap seconds in 2013; TT is 32.184 s ahead of TAI, and GPS 19 s behind it.
    assert (START - read(**changes).taustart_ts).total_seconds() == pytest.approx(seconds, abs=1e-5)


def test_unknown_time_scale_after_the_date_is_refused(read):
    with pytest.raises(ImageError, match=r"DATE-OBS = '2013-04-29T18:45:42\(MARS\)': unknown time scale 'MARS'"):
        read(DATE_OBS="2013-04-29T18:45:42(MARS)", TIMESYS="UTC")


def test_start_from_mjd_is_used_without_a_date(read):
    metadata = read(DATE_OBS=None, **{"MJD-OBS": 58849.25})
    assert metadata.taustart_ts == datetime(2020, 1, 1, 6, tzinfo=UTC)


DAY = {"DATE_OBS": "2013-04-29"}


@pytest.mark.parametrize(
    "changes",
    [
        {"TIME_OBS": "18:45:42.4944"},
        {"UTSTART": "18:45:42.4944"},
        {"UT": "18:45:42.4944"},
        {"DATE_OBS": '"2013-04-29";"2013-04-30"', "TIME_OBS": '"18:45:42.4944";"02:00:00"'},
        # Text without a time of day is skipped, and MJD-OBS is used only if no keyword holds a time of day.
        {"TIME_OBS": "", "UTSTART": "18.76", "UT": "18:45:42.4944", "MJD_OBS": 56411.0},
    ],
)
def test_time_of_a_start_with_only_a_day_is_in_another_keyword(read, changes):
    with capture_logs() as logs:
        assert read(**DAY | changes).taustart_ts == START
    assert logs == []


def test_time_of_a_start_with_only_a_day_may_be_in_the_mjd(read):
    with capture_logs() as logs:
        assert read(**DAY, MJD_OBS=56411.75).taustart_ts == datetime(2013, 4, 29, 18, tzinfo=UTC)
    assert logs == []


@pytest.mark.parametrize("changes", [{}, {"MJD_OBS": 56412.75}, {"TIME_OBS": "24:00:00"}, {"UT": 18.76}])
def test_start_without_any_time_is_midnight_with_one_warning(read, changes):
    with capture_logs() as logs:
        assert read(**DAY | changes).taustart_ts == datetime(2013, 4, 29, tzinfo=UTC)
    event = {"event": "start_taken_as_midnight", "log_level": "warning", "image": "a.fits", "day": "2013-04-29"}
    assert logs == [event]


def test_time_in_addition_to_a_complete_start_is_ignored(read):
    assert read(TIME_OBS="18:45:42.4944", MJD_OBS=56411.25).taustart_ts == START


def test_start_in_universal_time_is_not_taken_for_atomic_time(read):
    assert read(**DAY, UTSTART="18:45:42.4944", TIMESYS="TAI").taustart_ts == START
    assert (START - read(**DAY, TIME_OBS="18:45:42.4944", TIMESYS="TAI").taustart_ts).total_seconds() == 35


@pytest.mark.parametrize(
    ("changes", "seconds"),
    [
        ({"DATE_END": "2013-04-29", "TIME_END": "18:46:42.4944"}, 60.0),
        ({"DATE_END": "2013-04-29", "EXPTIME": 3.0}, 3.0),
        ({"TAU_TIME": 12.5, "EXPTIME": 3.0}, 12.5),
        ({"TAU_TIME": "long", "END_UTC": "soon", "EXPTIME": 3.0}, 3.0),
        ({"END_UTC": "2013-04-29T18:46:42.4944", "EXPTIME": 3.0}, 60.0),
        ({"DATE_END": "2013-04-29T19:45:42.4944", "TIMESYS": "TAI"}, 3600.0),
        # The end is in UTC whatever the start is in: 35 leap seconds in 2013.
        ({"END_UTC": "2013-04-29T18:46:42.4944", "TIMESYS": "TAI"}, 95.0),
        ({"EXPTIME": 3.0}, 3.0),
        ({"EXPOSURE": 4.0}, 4.0),
        ({}, 0.0),
    ],
)
def test_duration_is_read_from_the_first_of_its_keywords(read, changes, seconds):
    assert read(**changes).tau_time == seconds


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"DATE_OBS": "01-JUL-8"}, "DATE-OBS = '01-JUL-8': not a date"),
        ({"DATE_OBS": None}, "neither DATE-OBS nor MJD-OBS"),
        ({"DATE_OBS": ""}, "neither DATE-OBS nor MJD-OBS"),
        ({"DATE_OBS": None, "MJD-OBS": 1e9}, "MJD-OBS = 1000000000.0: not a date"),
        ({"TIMESYS": "MARS"}, "TIMESYS = 'MARS': unknown time scale"),
        ({"DATE_OBS": None, "MJD-OBS": 58849.0, "TIMESYS": "MARS"}, "TIMESYS = 'MARS': unknown time scale"),
        ({"TAU_TIME": -1.0}, "TAU_TIME = -1.0: the duration must be .*, got -1.0 s"),
        ({"DATE_END": "2013-04-28"}, "DATE-END = '2013-04-28': the duration must be .*, got -"),
    ],
)
def test_impossible_time_is_refused(read, changes, message):
    with pytest.raises(ImageError, match=message):
        read(**changes)


# Beam


def test_missing_position_angle_is_north(read):
    assert read(BPA=None).beam == Beam(bmaj=0.005, bmin=0.004, bpa=0)


def test_beam_described_from_its_minor_axis_is_the_same_ellipse(read):
    assert read(BMAJ=0.004, BMIN=0.005, BPA=30.0).beam == Beam(bmaj=0.005, bmin=0.004, bpa=120)


def test_beam_of_the_last_clean_in_the_history_is_used(make_header):
    header = make_header(BMAJ=None, BMIN=None, BPA=None)
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  2.2222E-02 BMIN=  2.2222E-02 BPA=   0.00"
    header["HISTORY"] = "PUTHEAD BMAJ     =  0.00000E+00      / old"
    header["HISTORY"] = "AIPS   CLEAN BMAJ=  1.3333E-02 BMIN=  7.7778E-03 BPA= -12.50"
    header["HISTORY"] = "PUTHEAD BUNIT    ='JY/BEAM '         / new"
    assert read_metadata(header).beam == Beam(bmaj=1.3333e-2, bmin=7.7778e-3, bpa=-12.5)


@pytest.mark.parametrize(
    ("comment", "factor"),
    [("[arcsec] beam", 1 / 3600), ("[ARCSEC]", 1 / 3600), ("[deg] beam", 1.0), ("[see text]", 1.0), ("arcsec", 1.0)],
)
def test_unit_of_the_beam_may_be_in_the_comment(make_header, comment, factor):
    header = make_header()
    for keyword, width in (("BMAJ", 0.005), ("BMIN", 0.004)):
        header[keyword] = (width / factor, comment)
    beam = read_metadata(header).beam
    assert (beam.bmaj, beam.bmin, beam.bpa) == pytest.approx((0.005, 0.004, 30.0))


def test_beam_in_the_keywords_of_obit_is_used(read):
    metadata = read(BMAJ=None, BMIN=None, BPA=None, CLEANBMJ=0.02, CLEANBMN=0.01, CLEANBPA=5.0)
    assert metadata.beam == Beam(bmaj=0.02, bmin=0.01, bpa=5)


@pytest.mark.parametrize("changes", [{"BMAJ": None}, {"BMIN": None}, {"BMAJ": None, "BMIN": None, "BPA": None}])
def test_missing_beam_is_none(read, changes):
    with capture_logs() as logs:
        assert read(**changes).beam is None
    assert logs == []


@pytest.mark.parametrize("changes", [{"BMAJ": 0.0, "BMIN": 0.0}, {"BMIN": -0.004}, {"BMAJ": "NaN", "BMIN": "NaN"}])
def test_impossible_beam_is_none_with_one_warning(read, changes):
    with capture_logs() as logs:
        assert read(**changes).beam is None
    assert [log["event"] for log in logs] == ["beam_unusable"]


# The rest


@pytest.mark.parametrize(("value", "code"), [(1.0, 1), (-5.0, -5)])
def test_stokes_parameter_is_read_from_its_axis(read, value, code):
    assert read(CTYPE4="STOKES", CRVAL4=value, CDELT4=1.0, CRPIX4=1.0).stokes == code


def test_telescope_may_be_missing(read):
    assert read(TELESCOP=None).telescope == ""


def test_middle_that_is_not_on_the_sky_is_refused(read):
    # An orthographic image ends 57.3° from its reference.
    with pytest.raises(ImageError, match=r"a\.fits: the middle of the image is not on the sky"):
        read(CRPIX1=1000.0, CDELT1=-0.1)


@pytest.mark.parametrize(
    ("changes", "radius"),
    [
        # The whole sky; half of the sky, whose corners are poles; a strip along the equator.
        ({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CDELT1": -6.0, "CDELT2": 4.5}, 180.0),
        ({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CDELT1": -3.0, "CDELT2": 4.5}, 90.0),
        ({"CTYPE1": "RA---CAR", "CTYPE2": "DEC--CAR", "CDELT1": -5.0, "CDELT2": 0.1}, 150.0),
        ({"CTYPE1": "RA---AIT", "CTYPE2": "DEC--AIT", "CDELT1": -6.0, "CDELT2": 5.0}, 180.0),
    ],
)
def test_searched_region_holds_the_whole_image(read, changes, radius):
    metadata = read(CRVAL1=40.0, CRVAL2=0.0, **changes)
    assert metadata.sky_region(0).xtr_radius == pytest.approx(radius, rel=0.03)


def test_facets_around_a_pole_are_no_distortion(read):
    changes = {"CTYPE1": "RA---TSC", "CTYPE2": "DEC--TSC", "RADESYS": "FK5", "EQUINOX": 2000.0, "CRVAL2": 90.0}
    assert read(**changes, CDELT1=-6.0, CDELT2=4.5).centre_dec == pytest.approx(90.0, abs=1e-3)


def test_searched_region_of_a_field_is_its_half_diagonal(read):
    metadata = read(CTYPE1="RA---TAN", CTYPE2="DEC--TAN")
    assert metadata.sky_region(0).xtr_radius == pytest.approx(0.0360555, rel=1e-5)


SIP = {"CTYPE1": "RA---TAN-SIP", "CTYPE2": "DEC--TAN-SIP", "A_ORDER": 2, "B_ORDER": 2}


ZPN = {"CTYPE1": "RA---ZPN", "CTYPE2": "DEC--ZPN", "PV2_1": 1.0}


@pytest.mark.parametrize(
    "changes",
    [
        SIP | {"A_2_0": 0.1, "B_0_2": -0.1},
        SIP | {"A_1_1": 10.0},
        SIP | {"B_0_2": 0.1},
        ZPN | {"PV2_1": 1e300},
    ],
    ids=str,
)
def test_projection_without_an_inverse_is_refused(read, changes):
    with pytest.raises(ImageError, match=r"a\.fits: the (celestial )?projection cannot be|the middle of the image"):
        read(**changes)


@pytest.mark.parametrize("changes", [ZPN, ZPN | {"PV2_3": 0.3}, {"PV2_1": 0.1, "PV2_2": -0.2}], ids=str)
def test_projection_with_parameters_and_an_inverse_is_kept(read, changes):
    assert read(**changes).centre_dec == pytest.approx(58.815, abs=1e-3)


def test_distortion_with_an_inverse_is_kept(read):
    assert read(**SIP, A_2_0=1e-3, B_0_2=-1e-3).centre_dec == pytest.approx(58.815, abs=1e-3)
