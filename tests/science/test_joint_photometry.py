"""Light curves and candidates of crowded fields with pixels, compared with the injected sources."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.stats import kstest
from sqlalchemy import create_engine, text

from trap.angles import separation
from trap.catalogues import AssociationType
from trap.config import PipelineConfig
from trap.pipeline import run_locally
from trap.simulation.survey import SurveyConfig, simulate_survey

N_TIMES = 12
POINTS = """SELECT a.runcat, i.url, a.type, x.f_int, x.f_int_err FROM assocxtrsource a
JOIN extractedsource x ON x.id = a.xtrsrc JOIN image i ON i.id = x.image"""
ENTRIES = """SELECT r.id, r.wm_ra, r.wm_decl, r.is_blend, v.eta_p_value, v.newsource FROM runningcatalog r
JOIN varmetric v ON v.runcat = r.id"""


class Outcome:
    """Results of a run on a simulated survey, beside its truth."""

    def __init__(self, folder, **settings):
        config = SurveyConfig(n_timesteps=N_TIMES, n_bands=1, n_variables=0, beam_axis_ratio=1.3, **settings)
        survey = simulate_survey(folder, config)
        execution = {"images": tuple(map(str, survey.images)), "database": f"sqlite:///{folder}/out.db"}
        run_locally(PipelineConfig().with_options(execution=execution))
        with create_engine(execution["database"]).connect() as connection:
            self.entries = [row for row in connection.execute(text(ENTRIES)) if not row.is_blend]
            points = connection.execute(text(POINTS)).all()
        self.points = {
            entry.id: {int(p.url[-13:-9]): p for p in points if p.runcat == entry.id} for entry in self.entries
        }
        self.sources = survey.truth.sources
        self.flux = np.array(survey.truth.lightcurves["flux"]).reshape(-1, N_TIMES)
        self.width = float(np.sqrt(np.prod([config.beam.bmaj, config.beam.bmin])))
        self.rms = config.rms

    def entry_of(self, row):
        """Return the entry nearest to a true source, and its distance in beam widths."""
        source = self.sources[row]
        distance = [separation(source["ra"], source["dec"], e.wm_ra, e.wm_decl) / self.width for e in self.entries]
        return self.entries[int(np.argmin(distance))], min(distance)

    def owners(self):
        """Return the true sources whose entry is their own, by entry; two sources that no image parts have none."""
        found = [(row, *self.entry_of(row)) for row in range(len(self.sources))]
        return {
            entry.id: row
            for row, entry, distance in found
            if distance < 0.25 and [other.id for _, other, _ in found].count(entry.id) == 1
        }

    def pulls(self, entry, row):
        """Return the deviations of the points of an entry from a true source, in σ."""
        points = self.points[entry]
        return np.array([(p.f_int - self.flux[row, time]) / p.f_int_err for time, p in points.items()])


@pytest.fixture(scope="module")
def pairs(tmp_path_factory):
    """Sixty close pairs, most of which some images part and others do not."""
    settings = {"n_steady": 60, "n_transients": 0, "n_close_pairs": 60, "close_pair_beams": (0.6, 1.4), "n_doubled": 6}
    folder = tmp_path_factory.mktemp("pairs")
    return Outcome(
        folder, seed=31, close_pair_sigma=(10.0, 60.0), close_pair_ratio=5.0, min_separation_beams=5, **settings
    )


def test_light_curves_of_pairs_follow_their_sources(pairs):
    own = {entry: row for entry, row in pairs.owners().items() if pairs.sources["kind"][row] == "steady"}
    assert len(own) > 60
    joint = [p for points in pairs.points.values() for p in points.values() if p.type == AssociationType.JOINT]
    assert len(joint) > 50
    pull = np.array([pairs.pulls(entry, row) for entry, row in own.items() if len(pairs.points[entry]) == N_TIMES])
    # A position that is off by a tenth of the beam gives a source the flux of its neighbour, the same in all images.
    assert np.median(np.abs(pull.mean(axis=1))) < 0.5
    noise = (pull - pull.mean(axis=1, keepdims=True)) / np.sqrt(1 - 1 / N_TIMES)
    assert np.abs(noise).max() < 5
    assert np.std(noise) == pytest.approx(1.0, abs=0.1)
    p_value = [entry.eta_p_value for entry in pairs.entries if entry.id in own]
    assert min(p_value) > 1e-4
    assert kstest(p_value, "uniform").pvalue > 0.01


def test_light_curves_of_pairs_are_whole_and_no_member_is_a_candidate(pairs):
    bright = [(entry, row) for entry, row in pairs.owners().items() if pairs.flux[row].min() > 10 * pairs.rms]
    assert all(sorted(pairs.points[entry]) == list(range(N_TIMES)) for entry, _ in bright)
    assert [entry for entry in pairs.entries if entry.newsource is not None] == []


def test_member_that_doubles_is_a_variable_and_its_neighbour_is_not(pairs):
    own = {row: entry for entry, row in pairs.owners().items()}
    doubled = [row for row in np.flatnonzero(pairs.sources["shape"] == "doubled") if row in own]
    assert len(doubled) >= 4
    names = list(pairs.sources["name"])
    for row in doubled:
        (entry,) = (entry for entry in pairs.entries if entry.id == own[row])
        assert entry.eta_p_value < 1e-4
        assert np.abs(np.mean(pairs.pulls(entry.id, row))) < 1.5
        neighbour = names.index(pairs.sources["neighbour"][row])
        if neighbour in own:
            pull = pairs.pulls(own[neighbour], neighbour)
            times = np.array(list(pairs.points[own[neighbour]]))
            is_late = times >= pairs.sources["doubled_at"][row]
            change = pull[is_late].mean() - pull[~is_late].mean()
            assert abs(change) < 3.5 * np.sqrt(1 / is_late.sum() + 1 / (~is_late).sum())


@pytest.mark.parametrize("seed", [41])
def test_transients_beside_steady_sources_are_found_at_once(tmp_path, seed):
    field = Outcome(
        tmp_path, seed=seed, n_steady=60, n_transients=12, transient_sigma=(12.0, 60.0), steady_sigma=(10.0, 100.0),
        transient_distance_beams=(0.8, 1.5), min_separation_beams=5,
    )  # fmt: skip
    own = {row: entry for entry, row in field.owners().items()}
    candidates = [entry for entry in field.entries if entry.newsource is not None]
    transients = np.flatnonzero(field.sources["kind"] == "transient")
    late = [row for row in transients if field.sources["first_timestep"][row] > 0]
    found = {
        row: next(e for e in candidates if e.id == own[row])
        for row in late
        if own.get(row) in {e.id for e in candidates}
    }
    assert len(found) >= len(late) - 1
    assert len(candidates) == len(found)
    for row, entry in found.items():
        first = min(time for time, p in field.points[entry.id].items() if p.type == AssociationType.NEW_SOURCE)
        assert first == field.sources["first_timestep"][row]


def test_transient_on_a_steady_source_is_a_variable_with_the_flux_density_of_both(tmp_path):
    field = Outcome(
        tmp_path, seed=51, n_steady=20, n_transients=8, transient_sigma=(20.0, 40.0), steady_sigma=(20.0, 40.0),
        transient_distance_beams=(0.3, 0.3), min_separation_beams=5,
    )  # fmt: skip
    names = list(field.sources["name"])
    for row in np.flatnonzero(field.sources["kind"] == "transient"):
        host = names.index(field.sources["neighbour"][row])
        entry, _ = field.entry_of(host)
        assert entry.eta_p_value < 1e-4
        points = field.points[entry.id]
        both = field.flux[host] + field.flux[row]
        pull = np.array([(points[t].f_int - both[t]) / points[t].f_int_err for t in range(N_TIMES)])
        assert np.abs(pull).max() < 5
