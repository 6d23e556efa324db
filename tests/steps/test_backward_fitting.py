"""Backward fits: what a new source was before, in images that can still be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import text

from trap.catalogues import AssociationType
from trap.config import PipelineConfig
from trap.db.engine import make_engine
from trap.pipeline import open_run
from trap.simulation.survey import SurveyConfig, simulate_survey
from trap.workers.executors import SerialExecutor

N_TIMES = 6


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """Six timesteps of one band, with two transients that are off at first."""
    folder = tmp_path_factory.mktemp("survey")
    survey = SurveyConfig(
        n_timesteps=N_TIMES,
        n_bands=1,
        size=128,
        n_steady=4,
        n_variables=0,
        n_transients=2,
        transient_sigma=(40.0, 60.0),
    )
    simulate_survey(folder, survey)
    return sorted(str(path) for path in folder.rglob("*.fits"))


@pytest.fixture
def config(database_url):
    return PipelineConfig().with_options(
        execution={"database": database_url, "group_size": 2},
        source_extraction={"extraction_radius_pix": 0.0},
        transient_search={"backward_fits": 3},
    )


def process(config, images, dataset_id=-1):
    config = config.with_options(execution={"images": tuple(map(str, images))}, persistence={"dataset_id": dataset_id})
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        assert not dataset.summary().failures
        return dataset.dataset_id


def rows(config, query, dataset_id):
    engine = make_engine(config.execution.database)
    with engine.connect() as connection:
        found = connection.execute(text(query), {"dataset": dataset_id}).mappings().all()
    engine.dispose()
    return [dict(row) for row in found]


POINTS = """
SELECT r.wm_ra, i.taustart_ts, b.freq_central, a.type, a.f_datapoints, a.v_int, a.eta_int, e.extract_type, e.f_int,
       e.f_int_err, e.ff_runcat = r.id AS is_own
FROM assocxtrsource a JOIN runningcatalog r ON r.id = a.runcat JOIN extractedsource e ON e.id = a.xtrsrc
JOIN image i ON i.id = e.image JOIN frequencyband b ON b.id = i.band
WHERE r.dataset = :dataset ORDER BY r.wm_ra, r.wm_decl, i.taustart_ts
"""


def test_new_source_is_measured_in_the_latest_earlier_images_and_reads_zero_there(config, images):
    points = rows(config, POINTS, process(config, images))
    first = {p["wm_ra"]: p["taustart_ts"] for p in points if p["type"] == AssociationType.NEW_SOURCE}
    times = sorted({p["taustart_ts"] for p in points})
    backward = [p for p in points if p["type"] == AssociationType.BACKWARD]
    assert backward
    for ra, start in first.items():
        mine = [p for p in backward if p["wm_ra"] == ra]
        before = times[: times.index(start)]
        assert [p["taustart_ts"] for p in mine] == before[-3:]
        assert all(p["extract_type"] == 1 and p["is_own"] for p in mine)
        assert all(abs(p["f_int"]) < 5 * p["f_int_err"] for p in mine)


def test_backward_fits_are_part_of_the_light_curve_and_its_metrics(config, images):
    dataset = process(config, images)
    points = rows(config, POINTS, dataset)
    metrics = rows(
        config,
        "SELECT r.wm_ra, v.* FROM varmetric v JOIN runningcatalog r ON r.id = v.runcat WHERE r.dataset = :dataset",
        dataset,
    )
    for metric in metrics:
        flux = np.array([p["f_int"] for p in points if p["wm_ra"] == metric["wm_ra"]])
        assert metric["f_datapoints"] == len(flux)
        assert metric["lightcurve_avg"] == pytest.approx(flux.mean(), rel=1e-12)
        assert metric["v_int"] == pytest.approx(flux.std(ddof=1) / flux.mean(), rel=1e-9)


@pytest.mark.parametrize("n_bands", [1, 2])
def test_every_point_has_the_metrics_of_the_light_curve_up_to_it(config, tmp_path, n_bands):
    survey = SurveyConfig(n_timesteps=5, n_bands=n_bands, size=128, n_steady=3, n_variables=0, n_transients=2)
    simulate_survey(tmp_path, replace(survey, transient_sigma=(40.0, 60.0)))
    points = rows(config, POINTS, process(config, sorted(tmp_path.rglob("*.fits"))))
    assert AssociationType.BACKWARD in {p["type"] for p in points}
    for entry, band in {(p["wm_ra"], p["freq_central"]) for p in points}:
        curve = [p for p in points if (p["wm_ra"], p["freq_central"]) == (entry, band)]
        for n in range(1, len(curve) + 1):
            flux, error = (np.array([p[name] for p in curve[:n]]) for name in ("f_int", "f_int_err"))
            scatter = flux.std(ddof=1) if n > 1 else 0.0
            mean = np.average(flux, weights=error**-2.0)
            assert curve[n - 1]["f_datapoints"] == n
            assert curve[n - 1]["v_int"] == pytest.approx(scatter / flux.mean(), rel=1e-9)
            eta = (((flux - mean) / error) ** 2).sum() / max(n - 1, 1)
            assert curve[n - 1]["eta_int"] == pytest.approx(eta, rel=1e-9)


def test_extended_dataset_has_the_light_curves_of_an_unbroken_one_to_the_last_bit(config, images):
    unbroken = process(config, images)
    broken = process(config, images[:2])
    for image in images[2:]:
        process(config, [image], broken)
    assert rows(config, POINTS, broken) == rows(config, POINTS, unbroken)


def test_image_that_is_gone_or_another_one_by_now_is_passed_over(config, images, tmp_path):
    copies = [Path(tmp_path, Path(image).name) for image in images]
    for image, copy in zip(images, copies, strict=True):
        copy.write_bytes(Path(image).read_bytes())
    dataset = process(config, copies[:2])
    copies[0].unlink()
    copies[1].write_bytes(copies[-1].read_bytes())
    process(config, copies[2:], dataset)
    times = sorted({p["taustart_ts"] for p in rows(config, POINTS, dataset)})
    backward = [p for p in rows(config, POINTS, dataset) if p["type"] == AssociationType.BACKWARD]
    assert backward
    assert not {p["taustart_ts"] for p in backward} & set(times[:2])


def test_no_backward_fits_if_the_setting_is_0(config, images):
    dataset = process(config.with_options(transient_search={"backward_fits": 0}), images)
    assert AssociationType.BACKWARD not in {p["type"] for p in rows(config, POINTS, dataset)}
