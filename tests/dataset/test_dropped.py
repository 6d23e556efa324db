from __future__ import annotations

import numpy as np
from made_up_survey import sources

from trap.catalogues import Flag
from trap.dataset.dropped import DROP_REASONS, count_dropped, dropped_text, sum_dropped
from trap.db.models import Timestep


def table(*flags):
    return sources(np.arange(123.0, 123.0 + len(flags)), 10.0).with_columns(flags=np.array(flags, np.int32))


def test_each_measurement_is_counted_once_by_its_first_reason():
    found = table(Flag.BLENDED, Flag.OUTSIDE | Flag.EDGE, Flag.EDGE, Flag.EDGE | Flag.MASKED_PIXELS, Flag.FIT_FAILED, 0)
    found = found.with_columns(f_int_err=np.array([1.0, 1.0, 1.0, 1.0, np.nan, -1.0]))
    counts = count_dropped(found)
    assert counts == {
        "n_dropped_outside": 1,
        "n_dropped_edge": 2,
        "n_dropped_unfitted": 1,
        "n_dropped_unmeasured": 1,
    }
    assert sum(counts.values()) == (~found.is_sound).sum()
    assert sum_dropped([counts, {"n_dropped_masked": 3}, counts])["n_dropped_edge"] == 4


def test_text_names_each_reason_with_its_number():
    assert dropped_text({}) == dropped_text(dict.fromkeys(DROP_REASONS, 0)) == ""
    assert dropped_text({"n_dropped_masked": 1}) == "1 source found but left out: 1 next to pixels without a value"
    assert dropped_text({"n_dropped_edge": 2, "n_dropped_unfitted": 1, "n_images": 9}) == (
        "3 sources found but left out: 2 cut by the edge of the searched area, 1 without a fit"
    )


def test_every_reason_has_a_column_of_the_timestep():
    assert set(DROP_REASONS) == {column.name for column in Timestep.__table__.columns if column.name.startswith("n_dr")}
