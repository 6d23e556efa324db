from __future__ import annotations

import numpy as np
import pytest
from busy_dataset import FIELD, forced, state_of
from made_up_survey import sources

from trap.association.entries import ENTRY
from trap.db.dataset_state import load_state
from trap.errors import DatasetNotFoundError


def test_loaded_state_equals_the_state_in_memory_to_the_last_bit(busy, ask, config):
    assert state_of(ask(load_state, busy.id, config)) == state_of(busy.state)


def test_resumed_run_ends_in_the_state_of_an_uninterrupted_one(make_dataset):
    unbroken, broken = make_dataset((123.5, 10.5)), make_dataset((123.5, 10.5))
    for day in range(5):
        found = sources([122.0, 122.0, 124.0 + day], [9.999, 10.001, 9.0], flux=[0.1 / 3, 0.4, 0.7 * (day + 1)])
        for dataset in (unbroken, broken):
            dataset.process(FIELD.image(day, found), FIELD.image(day, found.take(slice(1)), freq=180e6), forced=forced)
        broken.reload()
    ours, theirs = (_without_ids(state_of(dataset.state)) for dataset in (unbroken, broken))
    assert ours == theirs


def _without_ids(state):
    entries = np.frombuffer(state["entries"], ENTRY).copy()
    entries["id"] = 0
    looks = {key: [look[1:] for look in best.values()] for key, best in state["looks"].items()}
    kept = {name: state[name] for name in ("fluxes", "history", "monitor_entries", "latest")}
    return {**kept, "entries": entries.tobytes(), "looks": looks, "bands": state["bands"][0]}


def test_new_dataset_is_empty(make_dataset):
    state = make_dataset().state
    assert len(state.catalogue) == 0
    assert state.latest is None
    assert state.bands == state.regions == []


def test_unknown_dataset_is_refused(ask, config):
    with pytest.raises(DatasetNotFoundError, match="no dataset 7 in the database; it is empty"):
        ask(load_state, 7, config)
