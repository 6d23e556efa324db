"""Every function of TraP's steps is here, under its name."""

from __future__ import annotations

import importlib

import pytest

STEPS = {
    "persistence": [
        "create_dataset",
        "extract_metadatas",
        "store_images_in_db",
        "get_accessors",
        "paths_to_fits",
    ],
    "quality": ["reject_check", "reject_image"],
    "source_extraction": ["ExtractionResults", "extract_sources"],
    "forced_fitting": ["get_forced_fit_requests", "perform_forced_fits", "insert_and_associate_forced_fits"],
    "varmetric": ["execute_store_varmetric"],
    "misc": [
        "load_job_config",
        "dump_configs_to_logdir",
        "check_job_configs_match",
        "setup_logging",
        "dump_database_backup",
        "ImageMetadataForSort",
        "group_per_timestep",
    ],
    "prettyprint": ["prettyprint"],
}


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in STEPS.items() for name in names])
def test_step_is_offered_with_an_explanation(module, name):
    step = getattr(importlib.import_module(f"trap.steps.{module}"), name)
    assert callable(step)
    assert step.__doc__
    assert name in importlib.import_module(f"trap.steps.{module}").__all__
