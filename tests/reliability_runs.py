"""Run in this process, and compare two databases to the last bit."""

from __future__ import annotations

from trap.db.comparison import Side, Tolerances, compare_datasets
from trap.db.engine import reading
from trap.db.upkeep import check_database
from trap.pipeline import open_run
from trap.workers.executors import SerialExecutor

EXACTLY = Tolerances(position_arcsec=1e-6, relative=0.0)


def run_here(config, *, progress=None):
    """Process images in this process, with one short retry."""
    with open_run(config, progress=progress) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor(), retry_delays=(0.3,))
        return dataset.summary()


def holds_the_same(engine, dataset, other_engine, other):
    """Return the differences between two datasets, to the last bit, and the problems of the first database."""
    with reading(engine) as ours, reading(other_engine) as theirs:
        return [*check_database(engine), *compare_datasets(Side(ours, dataset), Side(theirs, other), EXACTLY)]
