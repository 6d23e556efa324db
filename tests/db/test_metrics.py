"""Metrics of light curves in the database."""

from __future__ import annotations

import numpy as np

from trap.db import metrics
from trap.db.engine import transaction


def test_pieces_of_light_curves_are_never_cut(busy, ask):
    def pieces(connection, n_points):
        return list(metrics.light_curve_points(connection, busy.id, n_points=n_points))

    (whole,) = ask(pieces, 10**6)
    small = ask(pieces, 3)
    assert len(small) > 2
    runcats = [set(piece["runcat"].tolist()) for piece in small]
    assert sum(map(len, runcats)) == len(set.union(*runcats)) == len(busy.entries())
    for name, values in whole.items():
        assert np.array_equal(values, np.concatenate([piece[name] for piece in small]))
    order = np.lexsort((whole["timestep"], whole["stokes"], whole["band"], whole["runcat"]))
    assert (order == np.arange(len(order))).all()


def test_saved_metrics_replace_the_former_and_leave_the_rest(busy, engine):
    (before,) = busy.rows("SELECT * FROM varmetric WHERE newsource IS NOT NULL")
    columns = {name: [before[name]] for name in ("runcat", "band", "lightcurve_max", "lightcurve_avg")}
    with transaction(engine) as connection:
        metrics.save_varmetric(connection, {**columns, "lightcurve_median": [0.5]})
    (after,) = busy.rows("SELECT * FROM varmetric WHERE newsource IS NOT NULL")
    assert after == {**before, "lightcurve_median": 0.5}
