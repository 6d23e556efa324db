from datetime import UTC, datetime, timedelta

import pytest
from astropy.time import core as astropy_time

from trap.images.headers.times import date_and_scale, from_mjd, from_utc, is_day, parse_date, parse_time_of_day, to_utc


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013-04-29T18:45:42.494400", datetime(2013, 4, 29, 18, 45, 42, 494400)),  # noqa: DTZ001
        ("2013-04-29 18:45", datetime(2013, 4, 29, 18, 45)),  # noqa: DTZ001
        ("2013-04-29", datetime(2013, 4, 29)),  # noqa: DTZ001
        ("2013-04-29T18:45:42.4944001234", datetime(2013, 4, 29, 18, 45, 42, 494400)),  # noqa: DTZ001
        ("29/04/87", datetime(1987, 4, 29)),  # noqa: DTZ001
        ('"2013-04-29";"2013-04-30"', datetime(2013, 4, 29)),  # noqa: DTZ001
        ("2013-04-29T18:45:42Z", datetime(2013, 4, 29, 18, 45, 42, tzinfo=UTC)),
    ],
)
def test_dates_are_read_in_every_form(text, expected):
    assert parse_date(text) == expected


@pytest.mark.parametrize("text", ["01-JUL-8", "", "29/04/1987", "31/02/87", "2013-13-01", "yesterday"])
def test_text_without_a_date_is_refused(text):
    with pytest.raises(ValueError, match=r"isoformat|day is out of range|month must be"):
        parse_date(text)


def test_mjd_counts_days_from_1858():
    assert from_mjd(58849.5) == datetime(2020, 1, 1, 12)  # noqa: DTZ001


@pytest.mark.parametrize("mjd", [float("nan"), float("inf"), 1e9])
def test_impossible_mjd_is_refused(mjd):
    with pytest.raises(ValueError, match=r"MJD|NaN"):
        from_mjd(mjd)


@pytest.mark.parametrize(
    ("timesys", "seconds"),
    [
        ("", 0.0),
        ("UTC", 0.0),
        ("ut1 ", 0.0),
        # 37 leap seconds in 2020; TT is 32.184 s ahead of TAI.
        ("TAI", 37.0),
        ("TT", 69.184),
        ("TT(TAI)", 69.184),
        ("TT(BIPM15)", 69.184),
        ("tdt (bipm)", 69.184),
        ("UTC(NIST)", 0.0),
        ("UT()", 0.0),
        # GPS counts no leap seconds since 1980, when TAI was 19 s ahead of UTC.
        ("GPS", 18.0),
        ("gps(USNO)", 18.0),
        ("TDB", 69.184),
        # TCG gains 6.969290134e-10 s/s on TT since the start of 1977: 0.945656 s in 43 years.
        ("TCG", 69.184 + 0.9457),
    ],
)
def test_time_scales_are_converted_to_utc(timesys, seconds):
    time = to_utc(datetime(2020, 1, 1, 0, 5), timesys)  # noqa: DTZ001
    assert time.tzinfo is UTC
    assert (datetime(2020, 1, 1, 0, 5, tzinfo=UTC) - time).total_seconds() == pytest.approx(seconds, abs=1e-3)


def test_barycentric_coordinate_time_is_converted_to_utc():
    # IAU 2006 resolution B3: TCB − TDB = 1.550519768e-8 × (JD − 2443144.5003725) × 86400 + 6.55e-5 s = 21.03 s.
    time = to_utc(datetime(2020, 1, 1, 0, 5), "TCB")  # noqa: DTZ001
    elapsed = (datetime(2020, 1, 1, 0, 5, tzinfo=UTC) - time).total_seconds()
    expected = 69.184 + 1.550519768e-8 * (2458849.5 - 2443144.5) * 86400
    assert elapsed == pytest.approx(expected, abs=3e-3)


def test_time_zone_in_the_date_counts():
    assert to_utc(parse_date("2020-01-01T02:00:00+02:00"), "UTC") == datetime(2020, 1, 1, tzinfo=UTC)


def test_years_without_known_leap_seconds_are_no_warning():
    assert to_utc(datetime(2100, 1, 1), "TAI").year == 2099  # noqa: DTZ001


def test_no_table_of_leap_seconds_is_downloaded(monkeypatch):
    def refuse(*_):
        raise AssertionError

    monkeypatch.setattr(astropy_time, "_LEAP_SECONDS_CHECK", astropy_time._LeapSecondsCheck.NOT_STARTED)
    monkeypatch.setattr(astropy_time, "update_leap_seconds", refuse)
    to_utc(datetime(2026, 11, 1), "TT")  # noqa: DTZ001


def test_unknown_time_scale_is_refused():
    with pytest.raises(ValueError, match="unknown time scale 'MARS'"):
        to_utc(datetime(2020, 1, 1), "MARS")  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2013-04-29", True),
        ("29/04/94", True),
        ('"2013-04-29";"2013-04-30"', True),
        ("2013-04-29T00:00:00", False),
        ("2013-04-29 18:45", False),
    ],
)
def test_day_without_a_time_differs_from_midnight(text, day):
    assert is_day(text) is day


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("00:00:00", 0), ("18:45:42.5", 67542.5), ("1:2:3.", 3723), ("23:59:60.5", 86400.5)],
)
def test_time_of_day_is_read(text, seconds):
    assert parse_time_of_day(text).total_seconds() == seconds


@pytest.mark.parametrize("text", ["", "noon", "18.76", "18:45", "24:00:00", "12:60:00", "12:00:61", "-1:00:00"])
def test_text_without_a_time_of_day_is_refused(text):
    with pytest.raises(ValueError, match="not a time of day"):
        parse_time_of_day(text)


def test_julian_dates_are_traps():
    # TraP's check values: JD 2454574.0208333 is 2008-04-17 12:30, and JD 2400000.5 is 1858-11-17.
    half_past_twelve = datetime(2008, 4, 17, 12, 30)  # noqa: DTZ001 (to_utc applies the time scale)
    assert abs((from_mjd(2454574.0208333 - 2400000.5) - half_past_twelve).total_seconds()) < 0.01
    assert from_mjd(0.0) == datetime(1858, 11, 17)  # noqa: DTZ001


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2013.5", datetime(2013, 1, 1) + timedelta(days=0.5 * 365.242199)),  # noqa: DTZ001
        ("2016-12-31T23:59:60", datetime(2017, 1, 1)),  # noqa: DTZ001
        ("2016-12-31T23:59:60.5", datetime(2017, 1, 1, 0, 0, 0, 500000)),  # noqa: DTZ001
    ],
)
def test_years_with_a_fraction_and_leap_seconds_are_read(text, expected):
    assert parse_date(text) == expected


@pytest.mark.parametrize(
    ("text", "date", "scale"),
    [
        ("2013-04-29T18:45:42.5(UTC)", "2013-04-29T18:45:42.5", "UTC"),
        ("2013-04-29T18:45:42 UTC", "2013-04-29T18:45:42", "UTC"),
        ("2013-04-29 18:45:42. tai", "2013-04-29 18:45:42.", "tai"),
        ("2013-04-29(TT(BIPM15))", "2013-04-29", "TT(BIPM15)"),
        ("31/12/87 TT(TAI)", "31/12/87", "TT(TAI)"),
        ("2013-04-29T18:45:42Z", "2013-04-29T18:45:42Z", ""),
        ("2013-04-29T18:45:42+02:00", "2013-04-29T18:45:42+02:00", ""),
        ("2013-04-29", "2013-04-29", ""),
        ("01-JUL-8", "01-JUL-8", ""),
        ("UTC", "UTC", ""),
    ],
)
def test_time_scale_after_a_date_is_split_from_it(text, date, scale):
    assert date_and_scale(text) == (date, scale)
    if scale:
        assert parse_date(text) == parse_date(date)
        assert is_day(text) is is_day(date)


@pytest.mark.parametrize("scale", ["UTC", "TAI", "TT(BIPM)", "GPS", "TCB"])
@pytest.mark.parametrize("text", ["2020-01-01T00:05:00.25", "2016-12-31T23:59:30", "1999-01-01T00:00:01"])
def test_time_in_utc_is_converted_to_a_scale_and_back(scale, text):
    time = parse_date(text).replace(tzinfo=UTC)
    written = from_utc(time, scale)
    assert written.tzinfo is None
    assert abs((to_utc(written, scale) - time).total_seconds()) < 1e-4
