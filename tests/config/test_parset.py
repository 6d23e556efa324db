"""TraP's own configuration files."""

from __future__ import annotations

import re

import pytest

from trap.cli.parser import make_parser
from trap.config import PipelineConfig
from trap.config.parset import config_of_parsets, read_parset
from trap.errors import ConfigError

JOB = """\
; a comment on its own line
[persistence]
description = "TRAP dataset"   ; a name
dataset_id = -1
rms_est_sigma = 4
bandwidth_max = 0.0

[quality]
rms_est_max = 100              # [Jy]
elliptical_x = 3.0

[quality_lofar]
low_bound = 0.5
min_separation = 20            ; [deg]

[source_extraction]
detection_threshold = 10
force_beam = False
margin = 5
colour = blue

[association]
deruiter_radius = 3.7

[pipeline]
mode = 'batch'
hosts = ',,,,,'
"""

PIPELINE = """\
[DEFAULT]
runtime_directory = %(cwd)s
job_directory = %(runtime_directory)s/%(job_name)s

[logging]
log_dir = %(job_directory)s/logs/%(start_time)s
debug = False

[database]
engine = postgresql
database = survey
user = astro
password = secret
host = db.example
port = 5433

[parallelise]
method = "multiproc"
cores = 4
"""


@pytest.fixture
def write(tmp_path):
    """A function that writes a file."""

    def write_file(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    return write_file


def test_comments_behind_values_are_ignored(write):
    parset = read_parset(write("inject.cfg", "[inject]\nncore = 41      ; number of core stations\nbmaj = 0.1 # deg\n"))
    assert parset == {"inject": {"ncore": 41, "bmaj": 0.1}}


def test_values_are_python_literals_or_text(write):
    text = "[a]\none = 1\ntwo = 2.5\nyes = True\nlist = [1, 2]\ntext = 'a b'\nbare = a b\nempty =\nhash = a#b\n"
    assert read_parset(write("a.cfg", text))["a"] == {
        "one": 1,
        "two": 2.5,
        "yes": True,
        "list": [1, 2],
        "text": "a b",
        "bare": "a b",
        "empty": "",
        "hash": "a#b",
    }


def test_job_of_trap_becomes_settings(write):
    config, notes = config_of_parsets([write("job_params.cfg", JOB)])
    imported, _ = config_of_parsets([write("empty.cfg", "")])
    assert config == imported.with_options(
        persistence={"description": "TRAP dataset"},
        quality={"elliptical_x": 3.0},
        quality_lofar={"low_bound": 0.5, "min_separation": 20.0},
        source_extraction={"detection_threshold": 10.0, "force_beam": False, "margin": 5},
        association={"deruiter_radius": 3.7},
    )
    assert [note.split(" = ")[0] for note in notes] == [
        *("persistence.dataset_id", "source_extraction.colour", "pipeline.mode", "pipeline.hosts")
    ]
    assert notes[1] == "source_extraction.colour = 'blue': there is no such setting here"


def test_settings_that_a_job_leaves_out_have_traps_values(write):
    config, notes = config_of_parsets([write("job_params.cfg", "")])
    extraction, quality, search = config.source_extraction, config.quality, config.transient_search
    assert notes == []
    assert (extraction.detection_threshold, extraction.extraction_radius_pix, extraction.force_beam) == (8, 250, True)
    assert extraction.margin == 10
    assert (extraction.beam_sys_err, extraction.ew_sys_err, extraction.ns_sys_err) == (0, 10, 10)
    assert (quality.elliptical_x, quality.undersampled_x, quality.rms_est_history) == (2, 1, 100)
    assert (quality.min_history, quality.rms_rej_factor, quality.check_new_sources) == (100, 1, "warn")
    assert config.association.method == "trap"
    # The margin of a job has an effect in TraP's own test only.
    assert (search.new_source_test, search.new_source_sigma_margin, search.backward_fits) == ("image", 1, 0)


def test_project_of_trap_names_database_and_workers_but_no_password(write):
    config, notes = config_of_parsets([write("job_params.cfg", JOB), write("pipeline.cfg", PIPELINE)])
    assert config.execution.database == "postgresql://astro@db.example:5433/survey"
    assert config.execution.n_workers == 4
    assert any(note.startswith("database.password") for note in notes)
    assert not any("secret" in note for note in notes)
    assert any(note.startswith("logging.log_dir") and "--log-dir" in note for note in notes)


EVERYTHING_ELSE = """\
[persistence]
dataset_id = -1
[pipeline]
mode = 'stream'
hosts = 'localhost'
ports = '6666'
[logging]
log_dir = logs
debug = True
colorlog = True
[image_cache]
copy_images = True
[database]
password = secret
dump_backup_copy = False
"""


def test_notes_name_commands_and_settings_that_exist(write, capsys):
    _, notes = config_of_parsets([write("pipeline.cfg", EVERYTHING_ELSE)])
    text = "\n".join(notes)
    commands = re.findall(r"'(transients [^']*)'", text)
    for command in commands:
        words = [word for word in command.split()[1:] if not word.isupper() and word != "HOST:PORT"]
        options = [word for word in words if word.startswith("--")]
        with pytest.raises(SystemExit):
            make_parser().parse_args([word for word in words if word not in options] + ["--help"])
        assert set(options) <= set(capsys.readouterr().out.split()), command
    assert {"transients live --stream HOST:PORT", "transients db dump"} <= set(commands)
    for section, name in re.findall(r"\b(execution)\.(\w+)", text):
        assert hasattr(getattr(PipelineConfig(), section), name)


def test_notes_name_the_command_for_streams_and_the_setting_for_pixels(write):
    _, notes = config_of_parsets([write("pipeline.cfg", EVERYTHING_ELSE)])
    (hosts,) = (note for note in notes if note.startswith("pipeline.hosts"))
    (pixels,) = (note for note in notes if note.startswith("image_cache.copy_images"))
    assert "transients live --stream" in hosts
    assert "execution.keep_pixels" in pixels


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("no section", "no section headers"),
        ("[a]\nb = %(nothing)s\n", "nothing"),
        ("[quality]\nrms_est_max = -1\n", "quality.rms_est_max"),
        ("[source_extraction]\nmargin = 'wide'\n", "source_extraction.margin"),
    ],
)
def test_file_that_cannot_be_used_is_named(write, text, message):
    path = write("job_params.cfg", text)
    with pytest.raises(ConfigError, match=message) as caught:
        config_of_parsets([path])
    assert str(path) in str(caught.value)


def test_missing_file_is_named(tmp_path):
    with pytest.raises(ConfigError, match=r"job_params\.cfg: cannot read the configuration"):
        read_parset(tmp_path / "job_params.cfg")


EARLY = """\
[persistence]
description = "of 2014"
copy_images = True
sigma = 5
f = 4
[quality_lofar]
low_bound = 1
high_bound = 80
oversampled_x = 25
elliptical_x = 1.8
[source_extraction]
backsize_x = 32
backsize_y = 40
radius = 600
margin = 7
deblend = {deblend}
deblend_nthresh = {n}
[association]
deruiter_radius = 3.717
"""


@pytest.mark.parametrize(
    ("deblend", "n", "number"), [("True", "20", 20), ("False", "20", 0), ("True", "0", 10), ("False", "0", 0)]
)
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_renamed_settings_of_early_jobs_are_imported(write, deblend, n, number, mark):
    config, notes = config_of_parsets([write("job_params.cfg", mark + EARLY.format(deblend=deblend, n=n))])
    extraction, persistence, quality = config.source_extraction, config.persistence, config.quality
    assert (persistence.rms_est_sigma, persistence.rms_est_fraction, persistence.description) == (5, 4, "of 2014")
    assert (extraction.back_size_x, extraction.back_size_y, extraction.extraction_radius_pix) == (32, 40, 600)
    assert (extraction.margin, extraction.deblend_nthresh, config.association.deruiter_radius) == (7, number, 3.717)
    assert (quality.oversampled_x, quality.elliptical_x) == (25, 1.8)
    assert [note.split(" = ")[0] for note in notes] == ["persistence.copy_images"]
    assert "execution.keep_pixels" in notes[0]


@pytest.mark.parametrize("section", ["quality", "quality_lofar", "persistence"])
def test_noise_settings_of_early_jobs_are_found_in_any_section(write, section):
    config, notes = config_of_parsets([write("job_params.cfg", f"[{section}]\nsigma = 3\nf = 6\n")])
    assert (config.persistence.rms_est_sigma, config.persistence.rms_est_fraction, notes) == (3, 6, [])


def test_a_job_without_deblending_makes_none(write):
    config, _ = config_of_parsets([write("job_params.cfg", "[source_extraction]\nmargin = 3\n")])
    assert config.source_extraction.deblend_nthresh == 0


def test_a_file_may_have_one_section_alone(write):
    assert config_of_parsets([write("pipeline.cfg", "[parallelise]\ncores = 2\n")])[0].execution.n_workers == 2


@pytest.mark.parametrize("content", ["[[[1]]]\n", "[nothing]\na = 1\n", "[a]\nb = \0\n"])
def test_file_that_is_no_job_is_refused(tmp_path, content):
    path = tmp_path / "job.cfg"
    path.write_text(content)
    with pytest.raises(ConfigError, match=r"job\.cfg: no job of TraP"):
        config_of_parsets([path])
