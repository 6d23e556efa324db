from __future__ import annotations

import numpy as np

from trap.report.comparison import COUNTS, contents_text


def summary(number, **counts):
    return {"id": number, "description": f"run {number}", **dict.fromkeys(COUNTS.values(), 0), **counts}


def test_two_datasets_stand_side_by_side():
    text = contents_text(
        (summary(1, n_entries=54, n_newsources=3), summary(2, n_entries=83, n_newsources=4)),
        n_common_images=40,
        radius_arcsec=2.0,
        n_matched=54,
        flux_ratio=np.array([0.99, 1.0, 1.01, 1.5]),
        removed=(),
        added=tuple((i, 10.0 + i, -20.0) for i in range(6)),
        settings=("source_extraction.detection_threshold is 8.0 instead of 6.0",),
    )
    lines = text.splitlines()
    assert lines[0].split("  ")[0] == "dataset"
    rows = [" ".join(line.split()) for line in lines]
    assert rows[1:4] == [
        "images 0 0 40 in both",
        "sources 54 83 54 of 83 matched, within 2″",
        "transient candidates 3 4 3 → 4",
    ]
    assert rows[4] == ("flux densities, second over first: median 1.0050 ± 0.01 (median absolute deviation, 4 sources)")
    assert rows[5:7] == ["6 candidates in the second only:", "entry 0 at 10.0000 -20.0000"]
    assert rows[11:] == [
        "… and 1 more",
        "settings of the first that differ from the second:",
        "source_extraction.detection_threshold is 8.0 instead of 6.0",
    ]


def test_datasets_of_one_name_in_two_databases_have_columns_of_their_own():
    text = contents_text(
        (summary(1), summary(1)),
        n_common_images=0,
        radius_arcsec=2.0,
        n_matched=0,
        flux_ratio=np.empty(0),
        removed=((7, 1.0, 2.0),),
        added=(),
        settings=(),
    )
    assert "1 (run 1), first  1 (run 1), second" in text
    assert "flux densities: no matched sources" in text
    assert "1 candidate in the first only:\n  entry 7 at 1.0000 +2.0000" in text
