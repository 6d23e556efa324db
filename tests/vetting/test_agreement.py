from __future__ import annotations

import numpy as np
import pytest

from trap.vetting.agreement import (
    AGREEMENT_COLUMNS,
    CONSENSUS_COLUMNS,
    cohen_kappa,
    consensus,
    pairwise_agreement,
)


def test_kappa_is_the_agreement_beyond_that_of_chance():
    # Of 200 cases, (88 + 40 + 12) / 200 = 0.70 agree; the sums of rows are 120, 60, 20 and of columns 100, 60, 40, so
    # that chance has 0.6 x 0.5 + 0.3 x 0.3 + 0.1 x 0.2 = 0.41.
    example = np.array([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    assert cohen_kappa(example) == pytest.approx((0.70 - 0.41) / (1 - 0.41))


def test_kappa_is_one_for_equal_ratings_and_negative_below_chance():
    # Half of each kind by chance: opposite ratings agree 0 of the expected 1/2.
    assert cohen_kappa([[[5, 0], [0, 7]], [[0, 6], [6, 0]], [[3, 3], [3, 3]]]).tolist() == [1.0, -1.0, 0.0]
    assert np.isnan(cohen_kappa([[4, 0], [0, 0]]))
    assert np.isnan(cohen_kappa([[0, 0], [0, 0]]))


RATINGS = [
    (7, "Bo", "true"),
    (7, "Ada", "true"),
    (9, "Ada", "false"),
    (9, "Bo", "true"),
    (2, "Ada", "false"),
    (2, "Bo", "false"),
    (4, "Ada", "unsure"),
    (4, "Bo", "unsure"),
    (4, "Cy", "false"),
    (5, "Di", "true"),
]


def columns_of(rows):
    candidate, rater, rating = zip(*rows, strict=True)
    return candidate, rater, rating


def test_people_are_compared_by_their_common_candidates():
    found = pairwise_agreement(*columns_of(RATINGS))
    assert list(found) == list(AGREEMENT_COLUMNS)
    pairs = list(zip(found["first"], found["second"], found["n_common"].tolist(), strict=True))
    assert pairs == [("Ada", "Bo", 4), ("Ada", "Cy", 1), ("Bo", "Cy", 1)]
    assert found["agreement"].tolist() == [0.75, 0.0, 0.0]
    # Ada: 1 true, 2 false, 1 unsure; Bo: 2, 1, 1; chance (2 + 2 + 1) / 16.
    assert found["kappa"].tolist() == pytest.approx([(0.75 - 5 / 16) / (1 - 5 / 16), 0.0, 0.0])


def test_consensus_is_the_most_frequent_rating_and_a_tie_is_unsure():
    candidate, _, rating = columns_of([*RATINGS, (7, "Cy", "false")])
    found = consensus(candidate, rating)
    assert list(found) == list(CONSENSUS_COLUMNS)
    assert found["candidate"].tolist() == [2, 4, 5, 7, 9]
    assert found["n_ratings"].tolist() == [2, 3, 1, 3, 2]
    assert found["consensus"].tolist() == ["false", "unsure", "true", "true", "unsure"]
    assert found["share"].tolist() == pytest.approx([1.0, 2 / 3, 1.0, 2 / 3, 0.0])
    assert found["n_false"].tolist() == [2, 1, 0, 1, 1]


def test_without_ratings_there_are_no_rows():
    assert {len(values) for values in pairwise_agreement([], [], []).values()} == {0}
    assert {len(values) for values in consensus([], []).values()} == {0}
