from __future__ import annotations

import numpy as np
import pytest
from busy_dataset import FIELD
from made_up_survey import sources

from trap.catalogues import Flag


def test_errors_are_stored_as_trap_defines_them(make_dataset):
    dataset = make_dataset()
    found = sources(30.0, 60.0, error_radius=10.0, systematics=3600.0).with_columns(
        x=12.25, y=-0.5, rms=1 / 3, island=7, flags=int(Flag.BLENDED | Flag.POINT_LIKE)
    )
    dataset.process(FIELD.image(0, found))
    (row,) = dataset.rows("SELECT * FROM extractedsource")
    # 10″ as a difference of right ascension at declination 60°, and 1° inflated there to 2.000304779914531°.
    assert row["ra_fit_err"] == pytest.approx(20 / 3600)
    assert row["decl_fit_err"] == pytest.approx(10 / 3600)
    assert row["ra_err"] == pytest.approx(np.hypot(20 / 3600, 2.000304779914531))
    assert row["decl_err"] == row["uncertainty_ns"] == row["uncertainty_ew"] == pytest.approx(np.hypot(10 / 3600, 1))
    assert row["error_radius"] == pytest.approx(np.sqrt(200))
    assert (row["x"], row["y"], row["z"]) == pytest.approx((0.5 * np.sqrt(0.75), 0.25, np.sqrt(0.75)))
    assert (row["zone"], row["racosdecl"]) == (60, pytest.approx(15.0))
    assert (row["x_pix"], row["y_pix"], row["rms"], row["island"], row["flags"]) == (12.25, -0.5, 1 / 3, 7, 34)
    assert (row["det_sigma"], row["chisq"], row["reduced_chisq"]) == (15.0, 5.0, 1.5)
    assert not row["margin"]


def test_forced_fits_name_the_entry_or_the_position_they_were_made_for(busy):
    kinds = busy.rows(
        "SELECT extract_type, ff_runcat, ff_monitor FROM extractedsource e JOIN image i ON e.image = i.id"
        " WHERE i.dataset = :dataset"
    )
    monitors = set(busy.column("SELECT id FROM monitor"))
    entries = {entry["id"] for entry in busy.entries()}
    assert {kind["extract_type"] for kind in kinds} == {0, 1, 2}
    for kind in kinds:
        if kind["extract_type"] == 0:
            assert kind["ff_runcat"] is kind["ff_monitor"] is None
        elif kind["extract_type"] == 1:
            # NULL where the entry was forked later.
            assert kind["ff_runcat"] in entries | {None}
        else:
            assert kind["ff_monitor"] in monitors
