"""The example and the table of docs/method/candidates.md, by the code; the numbers are those of the page."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from trap.images.beam import Beam
from trap.signs import Signs
from trap.vetting.neighbours import find_bright
from trap.vetting.score import PENALTIES, penalties, score_candidates, sign_words
from trap.vetting.surroundings import ring_significance

PAGE = (Path(__file__).parents[2] / "docs" / "method" / "candidates.md").read_text(encoding="utf-8")

BEAM = Beam(bmaj=2e-3, bmin=2e-3, bpa=0.0)


def column(*values):
    return np.array(values, float)


def test_example_by_hand():
    near = find_bright((column(0), column(0), column(0.02)), (column(0.012, 0), column(0, 0), column(4, 0.02)), BEAM)
    signs = Signs.of(
        bright_ratio=near.ratio,
        bright_distance=near.distance,
        # 10 beams of a ring of 5 mJy/beam around 4 Jy/beam.
        ring_sigma=[ring_significance(np.tile([5.0, -5.0], 60), 20.0, 16.0)],
        mirror_ratio=[14 / 20],
        negative_ratio=[12 / 20],
        negative_distance=[2.0],
        edge_distance=[1.1],
    )
    shares = penalties(signs, [20.0], [12.0])
    expected = {"bright": 0.5, "ring": 0.5, "mirror": 1.0, "negative": 0.75, "edge": 0.6}
    assert {name: share[0] for name, share in shares.items() if share[0]} == pytest.approx(expected)
    (score,) = score_candidates(signs, [20.0], [12.0], [1e-9])
    assert score == pytest.approx(0.00087, abs=5e-6)
    assert sign_words(signs, [20.0], [12.0]) == ["ring, mirror, negative, edge, bright"]
    for text in ("p L = 0.75", "0.001 e^{13.95} = 1144", "1/1145 = 0.00087", "`ring, mirror, negative, edge, bright`"):
        assert text in PAGE


def test_transient_without_signs():
    assert score_candidates(Signs.of(score=[np.nan]), [20.0], [12.0], [1e-9])[0] == pytest.approx(0.999, abs=5e-5)


def test_table_has_every_sign_with_its_limit_and_its_columns():
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")]
        for line in PAGE.partition("## The signs")[2].partition("### Bright source")[0].splitlines()
        if line.startswith("| ")
    ]
    assert {row[0]: float(row[-1]) for row in rows[1:]} == {each.word: each.limit for each in PENALTIES.values()}
    named = {word for row in rows[1:] for word in row[1].replace("`", " ").replace("$", " ").replace(",", " ").split()}
    assert named - {"m", "d", "newness"} <= Signs.columns().keys()


def test_every_sign_is_described():
    assert [name for name in Signs.columns() if f"`{name}`" not in PAGE and name != "score"] == []
