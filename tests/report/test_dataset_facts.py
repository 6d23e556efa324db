from __future__ import annotations

from trap.config import PipelineConfig
from trap.db.overview import list_datasets
from trap.pipeline import open_run
from trap.report.dataset_facts import found_text
from trap.report.run_summary import run_text
from trap.simulation.config import SurveyConfig
from trap.simulation.survey import simulate_survey
from trap.workers.executors import SerialExecutor


def test_a_run_and_its_dataset_state_the_same_numbers(engine, database_url, tmp_path):
    sky = SurveyConfig(n_timesteps=5, n_bands=1, size=160, n_steady=45, n_variables=2, n_transients=2, n_close_pairs=6)
    images = [str(path) for path in simulate_survey(tmp_path, sky).images]
    config = PipelineConfig().with_options(execution={"images": images, "database": database_url})
    with open_run(config) as dataset:
        for group in dataset.plan.groups:
            dataset.process_group(group, SerialExecutor())
        run = dataset.summary()
    with engine.connect() as connection:
        (summary,) = list_datasets(connection)
    # The numbers differ if fits of new sources in earlier images, or refused components, are not counted alike.
    assert sum(outcome.n_backward for outcome in run.outcomes) > 0
    assert summary["n_dropped_unconfirmed"] > 0
    assert f"\n{found_text(summary)}, " in run_text(run, database_url, program="transients")
