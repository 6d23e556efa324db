"""Several runs at once: on datasets of their own they do not notice each other, on one dataset only one may write."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from reliability_runs import holds_the_same, run_here

from trap.dataset.outcomes import ExitCode
from trap.db.engine import make_engine
from trap.db.upkeep import check_database
from trap.errors import DatasetLockedError


@pytest.fixture
def four(make_config):
    """Settings of four runs that differ in what they find."""

    def make(database):
        return [
            make_config(
                database,
                persistence={"description": f"run {n}"},
                source_extraction={"detection_threshold": 4.5 + n / 2},
            )
            for n in range(4)
        ]

    return make


@pytest.mark.parametrize("dialect", ["postgresql"], indirect=True)
def test_four_runs_at_once_leave_what_they_leave_one_after_another(four, database_url, dialect, tmp_path):
    with ThreadPoolExecutor(4) as pool:
        at_once = list(pool.map(run_here, four(database_url)))
    one_by_one = f"sqlite:///{tmp_path / 'one_by_one.db'}"
    in_turn = [run_here(config) for config in four(one_by_one)]
    engine, other = make_engine(database_url), make_engine(one_by_one)
    assert len({summary.dataset_id for summary in at_once}) == 4
    for ours, theirs in zip(at_once, in_turn, strict=True):
        assert ours.exit_code is ExitCode.COMPLETE
        assert holds_the_same(engine, ours.dataset_id, other, theirs.dataset_id) == []
    assert holds_the_same(engine, at_once[0].dataset_id, other, in_turn[3].dataset_id) != []
    for each in (engine, other):
        each.dispose()


def test_of_two_runs_on_one_dataset_one_works_and_one_refuses_or_waits(make_config, untroubled, database_url):
    config = make_config(database_url)
    is_going, may_go_on = threading.Event(), threading.Event()

    def hold(_done, _total):
        is_going.set()
        assert may_go_on.wait(30)

    waiting = config.with_options(execution={"wait_for_dataset": True})
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(run_here, config, progress=hold)
        assert is_going.wait(30)
        with pytest.raises(DatasetLockedError, match="another run is writing dataset 1"):
            run_here(config)
        second = pool.submit(run_here, waiting)
        may_go_on.set()
        assert first.result(60).exit_code is ExitCode.COMPLETE
        assert (second.result(60).outcomes, len(second.result().known)) == ((), 6)
    engine = make_engine(database_url)
    assert check_database(engine) == []
    assert holds_the_same(engine, 1, untroubled, 1) == []
    engine.dispose()
