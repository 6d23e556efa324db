from __future__ import annotations

import math

import numpy as np
import pytest

from trap.signs import Signs
from trap.vetting.score import FEWEST_PEAKS, PENALTIES, named_signs, penalties, score_candidates, sign_words

CLEAR = {
    "bright": {"bright_ratio": 1e4, "bright_distance": 2.0},
    "ring": {"ring_sigma": 2.0},
    "mirror": {"mirror_ratio": -1.0},
    "negative": {"negative_ratio": 1.0},
    "edge": {"edge_distance": 0.2},
    "narrow": {"shape_sigma": -7.0},
    "extended": {"shape_sigma": 9.0},
    "crowd": {"n_in_image": 40.0},
    "absent": {"absent_sigma": 9.0},
    "gain": {"local_gain": 0.6, "local_gain_sigma": 7.0},
}
"""Values of each sign that are clear."""


def one(**values):
    return Signs.of(**{name: np.array([values.get(name, np.nan)]) for name in Signs.columns()})


def score(signs, height=10.0, peaks=0.0, newness=20.0):
    return score_candidates(signs, [height], [newness], [peaks])[0]


def words(signs, height=10.0, newness=20.0):
    (found,) = sign_words(signs, [height], [newness])
    return found


def test_each_sign_has_a_clear_value_here():
    assert CLEAR.keys() | {"newness"} == PENALTIES.keys()


@pytest.mark.parametrize("name", CLEAR)
def test_clear_sign_multiplies_the_odds_by_its_limit_and_is_named(name):
    signs = one(**CLEAR[name])
    assert score(signs) == pytest.approx(1 / (1 + 1e-3 * math.exp(PENALTIES[name].limit)))
    assert words(signs) == PENALTIES[name].word
    assert [key for key, share in penalties(signs, [10.0], [20.0]).items() if share[0] > 0] == [name]


def test_unknown_signs_leave_the_score_of_noise_alone():
    assert score(one(), peaks=3.0) == pytest.approx(0.25)
    assert score(one(), peaks=1e-9) == score(one(), peaks=math.nan) == pytest.approx(1 / (1 + FEWEST_PEAKS))
    assert words(one()) == ""


def test_newness_just_above_its_threshold_is_marginal():
    assert words(one(), newness=5.0) == "marginal"
    assert words(one(), newness=8.0) == words(one(), newness=math.nan) == ""
    # Half of the way from 8 to 5 σ gives half of the limit of 2.
    assert score(one(), newness=6.5) == pytest.approx(1 / (1 + 1e-3 * math.e))


RISING = {
    "bright_ratio": np.geomspace(1, 1e5, 50),
    "negative_ratio": np.linspace(0, 2, 50),
    "n_in_image": np.arange(1, 51),
    "absent_sigma": np.linspace(-5, 12, 50),
    "local_gain": np.linspace(-1, 1, 50),
    "local_gain_sigma": np.linspace(-9, 9, 50),
    "mirror_ratio": np.linspace(0, 2, 50),
    "bright_distance": np.linspace(200, 0, 50),
    "ring_sigma": np.linspace(20, 0, 50),
    "edge_distance": np.linspace(9, 0, 50),
}
"""Values of signs from harmless to clear."""


@pytest.mark.parametrize("name", RISING)
def test_score_falls_with_each_sign(name):
    others = {"bright_ratio": 50.0, "bright_distance": 3.0, "local_gain": 0.4, "local_gain_sigma": 5.0}
    columns = {key: np.full(50, value) for key, value in others.items()} | {name: RISING[name]}
    scores = score_candidates(Signs.of(**columns), np.full(50, 10.0), np.full(50, 20.0), np.zeros(50))
    assert (np.diff(scores) <= 0).all()
    assert scores[-1] < scores[0]


def test_shape_lowers_the_score_on_both_sides():
    scores = score_candidates(
        Signs.of(shape_sigma=[-9.0, -4.0, 0.0, 4.0, 9.0]), np.full(5, 10.0), np.full(5, 20.0), np.zeros(5)
    )
    assert scores[0] < scores[1] < scores[2] > scores[3] > scores[4]


def test_extremes_of_noise_near_a_faint_candidate_are_no_sign():
    # Of the 28 beams within three, the deepest reaches -3.5 σ now and then: 0.64 of a peak of 5.5 σ.
    signs = one(negative_ratio=0.64, mirror_ratio=0.6)
    assert words(signs, height=5.5) == ""
    assert score(signs, height=5.5) == pytest.approx(1 / (1 + FEWEST_PEAKS))


def test_signs_of_a_query_may_be_missing_or_none():
    columns = {
        "det_sigma": np.array([9.0, 9.0]),
        "newness": np.array([9.0, np.nan]),
        "ring_sigma": np.array([2.0, None], object),
    }
    assert named_signs(columns) == ["ring", ""]
