"""Several datasets in Python."""

import numpy as np
import pytest
from astropy import units
from busy_dataset import FIELD
from db_servers import module_engine
from made_up_survey import dataset_maker, sources
from results_survey import url_of

from trap.errors import ConfigError, DatasetNotFoundError, TrapError
from trap.results import open_dataset, open_datasets

N_SOURCES = 12


@pytest.fixture(scope="module", params=["sqlite", "postgresql"])
def engine(request, tmp_path_factory):
    """Open a database for all tests of this module, which change nothing."""
    with module_engine(request.param, request, tmp_path_factory) as opened:
        yield opened


@pytest.fixture(scope="module")
def seasons(engine):
    """Process two seasons of twelve sources; the second one is 20 % too bright, and its sources have other numbers."""
    rng = np.random.default_rng(8)
    ra, dec = 122 + 0.2 * np.arange(N_SOURCES), 10 + rng.uniform(-1, 1, N_SOURCES)
    numbers = []
    for gain, first_day, order in ((1.0, 0, slice(None)), (1.2, 300, slice(None, None, -1))):
        dataset = dataset_maker(engine)(persistence={"description": f"season <{first_day}>"})
        for day in range(first_day, first_day + 3):
            flux = gain * rng.normal(1.0, 0.01, N_SOURCES)
            found = sources(ra[order], dec[order], flux=flux, flux_err=np.full(N_SOURCES, 0.01 * gain))
            dataset.process(FIELD.image(day, found))
        numbers.append(dataset.id)
    return open_datasets(url_of(engine), numbers), (ra, dec), numbers


def test_a_light_curve_covers_all_seasons_on_one_scale(seasons):
    opened, (ra, dec), numbers = seasons
    curve = opened.light_curve(ra[3] * units.deg, dec[3] * units.deg)
    assert curve["dataset"].tolist() == [numbers[0]] * 3 + [numbers[1]] * 3
    assert curve["f_int"].to_value("Jy") == pytest.approx([1.0] * 6, abs=0.06)
    assert curve["f_int"].unit == units.Jy
    assert curve["dataset_gain"][-1] == pytest.approx(1.2, rel=0.01)
    assert curve["kind"].tolist() == ["detection"] * 6
    assert (np.diff(curve["time"].mjd) > 0).all()
    assert curve.meta["datasets"] == numbers


def test_the_same_source_is_found_by_any_of_its_numbers(seasons, engine):
    opened, (ra, dec), numbers = seasons
    by_place = opened.light_curve((ra[3], dec[3]))
    of_second = open_dataset(url_of(engine), numbers[1]).light_curve(ra[3], dec[3]).meta["entry"]
    row = opened.sources((ra[3], dec[3]))[0]
    for number in (of_second, row, int(row["source"])):
        curve = opened.light_curve(number)
        assert curve["xtrsrc"].tolist() == by_place["xtrsrc"].tolist()
        assert curve.meta["source"] == by_place.meta["source"]


def test_sources_have_the_metrics_of_all_seasons(seasons):
    opened, _, _ = seasons
    table = opened.sources()
    assert len(table) == N_SOURCES
    assert table["n_datasets"].tolist() == [2] * N_SOURCES
    assert table["f_datapoints"].tolist() == [6] * N_SOURCES
    assert (table["eta_p_value"] > 1e-4).all()
    assert table["wm_ra"].unit == units.deg
    assert table["source"].info.description
    assert len(opened.sources(min_eta=1e6)) == 0


def test_gains_are_listed_with_their_errors(seasons):
    opened, _, numbers = seasons
    (row,) = opened.gains()
    assert row["dataset"] == numbers[1]
    assert row["applied"]
    assert abs(row["gain"] - 1.2) < 4 * row["gain_err"]
    assert row["n_matches"] == N_SOURCES
    assert "gain 1.2" in opened._repr_html_()
    assert f"Datasets {numbers[0]}, {numbers[1]} of" in repr(opened)


def test_the_figure_shows_all_seasons(seasons):
    opened, (ra, dec), _ = seasons
    ax = opened.plot_light_curve((ra[0], dec[0]))
    assert f"source {opened.light_curve((ra[0], dec[0])).meta['source']}" in ax.get_title()
    low, high = ax.get_xlim()
    assert high - low > 300


def test_sources_and_datasets_that_do_not_exist_are_refused(seasons, engine):
    opened, _, numbers = seasons
    with pytest.raises(TrapError, match="no source within 30 arcsec"):
        opened.light_curve((200.0, -10.0))
    with pytest.raises(TrapError, match="no entry 999999"):
        opened.light_curve(999999)
    with pytest.raises(ConfigError, match="did you mean"):
        opened.sources(min_eta_itn=3)
    with pytest.raises(DatasetNotFoundError):
        open_datasets(url_of(engine), [numbers[0], 999999])
    with pytest.raises(ConfigError, match="must be a list"):
        open_datasets(url_of(engine), numbers[0])
    assert len(opened.sources(candidates=True)) == 0
    with pytest.raises(TrapError, match="different datasets"):
        open_datasets(url_of(engine), [numbers[0], numbers[0]])
