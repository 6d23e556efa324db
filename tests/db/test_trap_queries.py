"""Queries as TraP's users write them for its releases 4 to 6, on our tables in PostgreSQL, unchanged.

They follow TraP's documentation and notebooks; ``%(dataset)s`` is a parameter of psycopg2.
"""

from __future__ import annotations

import psycopg2
import pytest
from busy_dataset import process_busy_days
from sqlalchemy import make_url

from trap.steps.varmetric import refresh_varmetric

pytestmark = pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)


@pytest.fixture
def ask_as_trap(make_dataset, engine, database_url):
    dataset = process_busy_days(make_dataset((123.5, 10.5), (120.1, 9.9)))
    refresh_varmetric(dataset.store)
    url = make_url(database_url)
    connection = psycopg2.connect(host=url.query.get("host", url.host), port=url.port,
                                  user=url.username, password=url.password, dbname=url.database)  # fmt: skip

    def run(query, **values):
        with connection.cursor() as cursor:
            cursor.execute(query, {"dataset": dataset.id, **values})
            return [dict(zip([d.name for d in cursor.description], row, strict=True)) for row in cursor]

    yield run
    connection.close()


def test_schema_revision_equals_traps_last_release(ask_as_trap):
    assert ask_as_trap("SELECT value FROM version WHERE name = 'revision'") == [{"value": 40}]


def test_light_curve_of_a_source(ask_as_trap):
    # Of a runcat id: the query of TraP's lightcurve and of its notebooks.
    (source,) = ask_as_trap(
        "SELECT id FROM runningcatalog WHERE dataset = %(dataset)s ORDER BY datapoints DESC, id LIMIT 1"
    )
    points = ask_as_trap(
        """
        SELECT im.taustart_ts, im.tau_time, ex.f_int, ex.f_int_err, ex.id AS xtrsrc, im.band, im.stokes, bd.freq_central
          FROM extractedsource ex, assocxtrsource ax, image im, frequencyband bd
         WHERE ax.runcat IN (SELECT runcat FROM assocxtrsource WHERE xtrsrc = (
                   SELECT xtrsrc FROM assocxtrsource WHERE runcat = %(runcat)s LIMIT 1))
           AND ax.xtrsrc = ex.id AND ex.image = im.id AND bd.id = im.band
         ORDER BY im.taustart_ts""",
        runcat=source["id"],
    )
    assert len(points) >= 4
    assert [p["taustart_ts"] for p in points] == sorted(p["taustart_ts"] for p in points)
    assert all(p["freq_central"] in (140e6, 180e6) for p in points)


def test_new_sources_with_their_flux_over_earlier_noise(ask_as_trap):
    (found,) = ask_as_trap(
        """
        SELECT n.id, r.id AS runcat, r.wm_ra, r.wm_decl, n.newsource_type, e.f_int, e.det_sigma,
               e.f_int / i.rms_min AS sigma_rms_min, e.f_int / i.rms_max AS sigma_rms_max, t.taustart_ts
          FROM newsource n
          JOIN runningcatalog r ON n.runcat = r.id
          JOIN extractedsource e ON n.trigger_xtrsrc = e.id
          JOIN image i ON n.previous_limits_image = i.id
          JOIN image t ON e.image = t.id
         WHERE r.dataset = %(dataset)s
         ORDER BY sigma_rms_min DESC"""
    )
    # 0.7 Jy over noises of 0.1 and 0.3 mJy.
    assert (found["sigma_rms_min"], found["sigma_rms_max"]) == pytest.approx((7000.0, 0.7 / 3e-4))
    assert found["newsource_type"] == 1


def test_varmetric_with_filters_on_eta_and_v(ask_as_trap):
    query = """
        SELECT v.runcat, v.v_int, v.eta_int, v.lightcurve_max, v.lightcurve_avg, v.lightcurve_median, v.sigma_rms_min,
               v.sigma_rms_max, r.datapoints, b.freq_central, v.newsource
          FROM varmetric v
          JOIN runningcatalog r ON v.runcat = r.id
          JOIN frequencyband b ON v.band = b.id
         WHERE r.dataset = %(dataset)s AND v.eta_int > %(eta)s AND v.v_int > %(v)s AND r.datapoints > 1
         ORDER BY v.eta_int DESC"""
    everything = ask_as_trap(query, eta=-1, v=-10)
    variable = ask_as_trap(query, eta=10, v=0.1)
    assert 0 < len(variable) < len(everything)
    assert all(row["lightcurve_max"] >= row["lightcurve_median"] for row in variable)


def test_images_with_their_rejections(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT i.id, i.url, i.taustart_ts, i.rms_qc, i.freq_eff, i.rb_smaj, rr.description, r.comment
          FROM image i
          LEFT OUTER JOIN rejection r ON r.image = i.id
          LEFT OUTER JOIN rejectreason rr ON r.rejectreason = rr.id
         WHERE i.dataset = %(dataset)s
         ORDER BY i.taustart_ts, i.freq_eff"""
    )
    assert len(rows) == 7
    assert [row["comment"] for row in rows if row["description"]] == ["10 times too high"]


def test_rejections_counted_by_reason(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT rr.description, count(*) FROM rejection r, rejectreason rr, image i
         WHERE r.rejectreason = rr.id AND r.image = i.id AND i.dataset = %(dataset)s GROUP BY rr.description"""
    )
    assert [row["count"] for row in rows] == [1]


def test_running_catalogue_near_a_position_by_zone_and_unit_vector(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT id, wm_ra, wm_decl,
               2 * DEGREES(ASIN(SQRT((x - %(x)s)^2 + (y - %(y)s)^2 + (z - %(z)s)^2) / 2)) AS distance
          FROM runningcatalog
         WHERE dataset = %(dataset)s
           AND zone BETWEEN CAST(FLOOR(%(decl)s - %(r)s) AS INTEGER) AND CAST(FLOOR(%(decl)s + %(r)s) AS INTEGER)
           AND wm_decl BETWEEN %(decl)s - %(r)s AND %(decl)s + %(r)s
           AND x * %(x)s + y * %(y)s + z * %(z)s > COS(RADIANS(%(r)s))
         ORDER BY distance""",
        decl=9.3,
        r=0.1,
        **dict(zip("xyz", (-0.55327585, 0.81719, 0.16160), strict=True)),
    )
    assert len(rows) == 1
    assert (rows[0]["wm_ra"], rows[0]["wm_decl"]) == pytest.approx((124.1, 9.3))


def test_mean_fluxes_of_every_source_in_every_band(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT r.id, r.wm_ra, r.wm_decl, r.wm_uncertainty_ew, rf.band, rf.f_datapoints, rf.avg_f_int,
               rf.avg_weighted_f_int / rf.avg_f_int_weight AS weighted_mean,
               CASE WHEN rf.f_datapoints < 2 THEN 0 ELSE
               SQRT(CAST(rf.f_datapoints AS DOUBLE PRECISION) / (rf.f_datapoints - 1)
                    * GREATEST(rf.avg_f_int_sq - rf.avg_f_int * rf.avg_f_int, 0)) / rf.avg_f_int END AS v_int
          FROM runningcatalog r JOIN runningcatalog_flux rf ON rf.runcat = r.id
         WHERE r.dataset = %(dataset)s AND r.mon_src = FALSE"""
    )
    latest = ask_as_trap(
        """
        SELECT a.runcat, i.band, a.v_int FROM assocxtrsource a JOIN extractedsource e ON a.xtrsrc = e.id
          JOIN image i ON e.image = i.id
         WHERE i.dataset = %(dataset)s AND a.f_datapoints = (
               SELECT max(a2.f_datapoints) FROM assocxtrsource a2 JOIN extractedsource e2 ON a2.xtrsrc = e2.id
                 JOIN image i2 ON e2.image = i2.id WHERE a2.runcat = a.runcat AND i2.band = i.band)"""
    )
    stored = {(row["runcat"], row["band"]): row["v_int"] for row in latest}
    assert len(rows) >= 4
    for row in rows:
        assert row["v_int"] == pytest.approx(stored[row["id"], row["band"]], rel=1e-6, abs=1e-7)


def test_extracted_sources_of_an_image_blind_and_forced(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT e.extract_type, count(*) AS n, max(e.det_sigma) AS brightest
          FROM extractedsource e, image i
         WHERE e.image = i.id AND i.dataset = %(dataset)s GROUP BY e.extract_type ORDER BY e.extract_type"""
    )
    assert [row["extract_type"] for row in rows] == [0, 1, 2]


def test_associations_by_type_and_distance(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT a.type, count(*), avg(a.distance_arcsec) AS distance, max(a.r) AS r
          FROM assocxtrsource a, runningcatalog r
         WHERE a.runcat = r.id AND r.dataset = %(dataset)s GROUP BY a.type"""
    )
    assert {4, 6, 7, 8, 9} <= {row["type"] for row in rows}


def test_sources_that_a_region_should_show(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT s.id, s.centre_ra, s.centre_decl, s.xtr_radius, count(asr.runcat) AS n
          FROM skyregion s LEFT JOIN assocskyrgn asr ON asr.skyrgn = s.id
         WHERE s.dataset = %(dataset)s GROUP BY s.id, s.centre_ra, s.centre_decl, s.xtr_radius"""
    )
    assert [(row["centre_ra"], row["n"] > 0) for row in rows] == [(123.0, True)]


def test_configuration_of_a_run(ask_as_trap):
    rows = ask_as_trap(
        "SELECT section, key, value, type FROM config WHERE dataset = %(dataset)s AND section = 'association'"
    )
    assert ("deruiter_radius", "3.717", "float") in {(row["key"], row["value"], row["type"]) for row in rows}


def test_monitored_positions_and_their_sources(ask_as_trap):
    rows = ask_as_trap(
        """
        SELECT m.id, m.ra, m.decl, r.wm_ra, r.wm_decl, count(e.id) AS fits
          FROM monitor m JOIN runningcatalog r ON m.runcat = r.id JOIN extractedsource e ON e.ff_monitor = m.id
         WHERE m.dataset = %(dataset)s AND r.mon_src GROUP BY m.id, m.ra, m.decl, r.wm_ra, r.wm_decl"""
    )
    assert len(rows) == 2
    assert all(row["wm_ra"] == pytest.approx(row["ra"]) for row in rows)
