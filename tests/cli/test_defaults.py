"""The defaults that help texts show are the defaults that commands use."""

from __future__ import annotations

import argparse
import re
from pathlib import Path

import pytest
import yaml

from trap.catalogues import VARIABLE_P
from trap.cli.extract.options import DEFAULT_ALPHA
from trap.cli.extract.request import make_request
from trap.cli.live import live_config
from trap.cli.parser import make_parser
from trap.config import LiveConfig, PipelineConfig
from trap.images.incoming import IncomingFolder

ROOT = Path(__file__).parents[2]


def shown_defaults(command):
    """The default that the help text of a command shows for each of its options."""
    (commands,) = (a for a in make_parser()._actions if isinstance(a, argparse._SubParsersAction))
    parser = commands.choices[command]
    formatter = parser.formatter_class(parser.prog)
    helps = {action.dest: formatter._expand_help(action) for action in parser._actions if action.help}
    defaults = {name: re.search(r"\(default: (.+?)\)", text) for name, text in helps.items()}
    return {name: match[1] for name, match in defaults.items() if match}


def test_help_of_live_shows_the_default_of_every_setting():
    defaults = {name: field.default for name, field in LiveConfig.model_fields.items()}
    shown = {name: value for name, value in shown_defaults("live").items() if name in defaults}
    # Folder and streams have no default: one of them must be given.
    assert set(shown) == set(defaults) - {"folder", "streams"}
    assert shown["patterns"] == "*.fits"
    assert {n: shown[n] for n in shown if n != "patterns"} == {n: str(defaults[n]) for n in shown if n != "patterns"}


def test_live_uses_the_defaults_of_its_settings():
    settings = live_config(make_parser().parse_args(["live", "--folder", "incoming"]))
    assert settings == LiveConfig(folder="incoming")


def test_help_of_extract_shows_the_settings_that_are_used():
    settings = make_request(make_parser().parse_args(["extract", "a.fits"])).config
    shown = {name: float(value) for name, value in shown_defaults("extract").items()}
    assert shown == {
        "detection_threshold": settings.detection_threshold,
        "analysis_threshold": settings.analysis_threshold,
        "grid": settings.back_size_x,
        "margin": settings.margin,
        "radius": settings.extraction_radius_pix,
        "box": settings.box_in_beampix,
        "alpha": DEFAULT_ALPHA,
    }
    assert settings.back_size_y == settings.back_size_x
    # "(default)" in the help of --deblend and --free.
    assert settings.deblend_nthresh > 0
    assert not settings.force_beam


def test_fdr_uses_the_share_that_help_shows():
    assert make_request(make_parser().parse_args(["extract", "a.fits", "--fdr"])).alpha == DEFAULT_ALPHA


def test_help_of_watch_shows_the_defaults_of_an_incoming_folder(tmp_path):
    folder, shown = IncomingFolder(tmp_path), shown_defaults("watch")
    assert shown["pattern"].split() == list(folder.patterns)
    assert float(shown["settle"]) == folder.settle_seconds
    arguments = make_parser().parse_args(["watch", str(tmp_path)])
    assert (arguments.pattern, arguments.settle) == (list(folder.patterns), folder.settle_seconds)


@pytest.mark.parametrize("command", ["deploy", "ui"])
def test_help_of_an_installation_shows_the_interval_and_the_folder_of_prefect_yaml(command):
    deployments = yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]
    (scan,) = (one for one in deployments if "incoming" in one.get("parameters", {}))
    shown = shown_defaults(command)
    assert float(shown["every"]) in [schedule.get("interval") for schedule in scan["schedules"]]
    assert shown["incoming"] == scan["parameters"]["incoming"]["folder"]


@pytest.mark.parametrize("command", ["run", "live", "deploy", "ui"])
def test_help_shows_the_default_database(command):
    assert f"sqlite:///{shown_defaults(command)['database']}" == PipelineConfig().execution.database


def test_list_of_variables_has_the_cut_of_the_summaries():
    assert make_parser().parse_args(["variables", "1"]).max_p == VARIABLE_P
