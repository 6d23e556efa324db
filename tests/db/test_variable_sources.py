"""The most variable sources, chosen by the database: the same as by a look at all metrics."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from sqlalchemy import text

from trap.config import PipelineConfig
from trap.db import lightcurves
from trap.db.bulk import nullable
from trap.db.datasets import insert_dataset
from trap.db.engine import transaction
from trap.db.metrics import save_varmetric
from trap.db.variable_sources import MetricCuts, most_variable, only_light_curves

N_ENTRIES = 200


@pytest.fixture
def sources(engine):
    """Metrics with equal values, negative V and steps, and missing ones."""
    from table_filler import fill_dataset  # noqa: PLC0415 (after the environment)

    rng = np.random.default_rng(5)
    with transaction(engine) as connection:
        dataset = fill_dataset(connection, n_entries=N_ENTRIES, n_images=2)
        values = {
            "eta_int": rng.integers(0, 8, N_ENTRIES) / 2,
            "v_int": rng.normal(0, 0.2, N_ENTRIES),
            "eta_p_value": np.where(rng.random(N_ENTRIES) < 0.1, np.nan, rng.random(N_ENTRIES) ** 8),
            "modulation": np.where(rng.random(N_ENTRIES) < 0.1, np.nan, rng.normal(0, 0.2, N_ENTRIES)),
            "vs_max": rng.normal(0, 3, N_ENTRIES),
        }
        columns = {name: nullable(column) for name, column in values.items()}
        columns |= {"stokes": rng.choice([1, 4], N_ENTRIES), "f_datapoints": rng.choice([1, 2, 9], N_ENTRIES)}
        needed = {"runcat": np.arange(1, N_ENTRIES + 1), "band": 1, "lightcurve_max": 0.1, "lightcurve_avg": 0.1}
        save_varmetric(connection, needed | columns)
    return dataset


def found_by_looking_at_all(connection, dataset, cuts, sort):
    """Row numbers of all entries that meet the cuts, in order."""
    found = lightcurves.variables(
        connection, dataset, min_v=cuts.min_v, min_eta=cuts.min_eta, max_p=cuts.max_p, limit=None
    )
    key = found[sort] if sort == "eta_p_value" else -np.abs(found[sort])
    order = np.lexsort((found["runcat"], -found["eta_int"], key))
    return found["runcat"][order][(found["modulation"][order] >= cuts.min_modulation) | (cuts.min_modulation == 0)]


CUTS = (MetricCuts(), MetricCuts(max_p=0.01, min_v=0.1), MetricCuts(min_eta=1.5, min_modulation=0.05))
SORTS = ("eta_int", "v_int", "eta_p_value", "modulation", "vs_max")


@pytest.mark.parametrize("others", [False, True], ids=["one dataset", "two datasets"])
def test_top_and_number_are_the_same_as_by_a_look_at_all(sources, engine, ask, others):
    if others:
        # The metrics of another dataset do not count.
        with transaction(engine) as connection:
            other = insert_dataset(connection, PipelineConfig())
            connection.execute(text(f"UPDATE runningcatalog SET dataset = {other} WHERE id <= 50"))
    for cuts, sort in product(CUTS, SORTS):
        expected = ask(found_by_looking_at_all, sources, cuts, sort)
        assert 5 < len(expected) < N_ENTRIES
        for limit in (4, None):
            top, n_found = ask(most_variable, sources, cuts, sort=sort, limit=limit)
            assert (top["runcat"].tolist(), n_found) == (expected[:limit].tolist(), len(expected))
        some, n_found = ask(most_variable, sources, cuts, sort=sort, entries=expected[1:3])
        assert (some["runcat"].tolist(), n_found) == (expected[1:3].tolist(), 2)


def test_images_of_one_band_and_stokes_parameter_have_one_kind_of_light_curve(sources, engine, ask):
    assert ask(only_light_curves, sources) == (1, 1)
    assert ask(only_light_curves, sources + 1) is None
    with transaction(engine) as connection:
        connection.execute(text("UPDATE image SET stokes = 4 WHERE id = 2"))
    assert ask(only_light_curves, sources) is None
