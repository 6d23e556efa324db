import re
import tomllib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from trap.config import PersistenceConfig, PipelineConfig, SourceExtractionConfig, load_config, write_config
from trap.errors import ConfigError

# Defaults that TraP R6's job_params.cfg has too, by section; tests/config/test_parset.py has the others.
DEFAULTS_OF_TRAP = {
    "persistence": {
        "rms_est_sigma": 4,
        "rms_est_fraction": 8,
        "bandwidth_max": 0.0,
    },
    "quality": {
        "rms_est_history": 100,
        "rms_est_max": 100,
        "rms_est_min": 0.0,
        "rms_rej_sigma": 3,
        "oversampled_x": 30,
    },
    "source_extraction": {
        "analysis_threshold": 3,
        "back_size_x": 50,
        "back_size_y": 50,
        "box_in_beampix": 10,
        "expiration": 10,
    },
    "association": {"deruiter_radius": 5.68, "beamwidths_limit": 3.0},
    "transient_search": {"new_source_sigma_margin": 1},
}


@pytest.fixture
def load(tmp_path):
    """A function that loads a configuration from its text."""

    def load_text(text):
        path = tmp_path / "trap.toml"
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return load_config(path)

    return load_text


@pytest.mark.parametrize("section", DEFAULTS_OF_TRAP)
def test_defaults_are_as_in_trap(section):
    settings = getattr(PipelineConfig(), section).model_dump()
    assert {key: settings[key] for key in DEFAULTS_OF_TRAP[section]} == DEFAULTS_OF_TRAP[section]


def test_other_defaults_suit_images_of_today():
    extraction, quality = SourceExtractionConfig(), PipelineConfig().quality
    assert (extraction.deblend_nthresh, extraction.margin) == (32, 0)
    assert (extraction.extraction_radius_pix, extraction.detection_threshold, extraction.force_beam) == (0, 5, False)
    assert (extraction.beam_sys_err, extraction.ew_sys_err, extraction.ns_sys_err) == (0.05, "auto", "auto")
    assert (quality.elliptical_warn, quality.elliptical_x) == (3, 10)
    assert (quality.undersampled_warn, quality.undersampled_x) == (2, 1.2)


def test_every_setting_is_described():
    for section, field in PipelineConfig.model_fields.items():
        settings = field.annotation
        assert settings.__doc__, section
        for name, item in settings.model_fields.items():
            assert item.description, f"{section}.{name}"
            # A description is one paragraph, in a comment of the file and in a cell of the page.
            assert "\n\n" not in item.description, f"{section}.{name}"


# TOML


def test_written_configuration_is_read_back_the_same(load):
    config = PipelineConfig().with_options(
        persistence={"description": 'Crab "pulsar"\\ in π\n', "band_tolerance": 1e-5, "bandwidth_max": 1e17},
        source_extraction={"force_beam": False, "detection_threshold": 6.5},
        execution={"images": ["a/*.fits", "b c.fits"], "granularity": "timestep"},
    )
    assert load(write_config(config)) == config


@given(
    description=st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=100),
    sigma=st.floats(1e-300, 1e18),
)
def test_any_text_and_any_number_survive_toml(description, sigma):
    config = PipelineConfig(persistence=PersistenceConfig(description=description, rms_est_sigma=sigma))
    assert PipelineConfig.model_validate(tomllib.loads(write_config(config))) == config


def test_written_configuration_explains_every_setting():
    text = write_config(PipelineConfig())
    assert "\n# Width of a cell of the background and noise mesh, in pixels." in text
    for settings in PipelineConfig.model_fields.values():
        for name, item in settings.annotation.model_fields.items():
            # Two sections may have a setting of the same name.
            comments = re.findall(rf"((?:^#.*\n)+){name} = ", text, re.MULTILINE)
            texts = [" ".join(comment.replace("# ", "").split()) for comment in comments]
            assert " ".join(item.description.split()) in texts
            assert all(len(line) <= 120 for comment in comments for line in comment.splitlines())
    for section in PipelineConfig.model_fields:
        assert f"\n[{section}]\n" in text


def test_settings_that_are_not_in_the_file_have_their_defaults(load):
    config = load("[association]\nderuiter_radius = 4.0\n")
    assert config == PipelineConfig().with_options(association={"deruiter_radius": 4.0})


def test_empty_file_is_the_default(load):
    assert load("") == PipelineConfig()


# Errors


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("[quality]\nrms_est_max = -3.5\n", ["quality.rms_est_max", "greater than 0", "-3.5"]),
        ("[quality]\nrms_est_max = inf\n", ["quality.rms_est_max", "finite", "inf"]),
        ("[quality]\nrms_est_max = 'much'\n", ["quality.rms_est_max", "number", "'much'"]),
        ("[quality]\nrms_max = 1\n", ["unknown setting quality.rms_max; did you mean rms_est_max?"]),
        ("[qualitee]\nrms_max = 1\n", ["unknown section qualitee; did you mean quality?"]),
        (
            "[source_extraction]\ndetection_treshold = 5\n",
            ["unknown setting source_extraction.detection_treshold; did you mean detection_threshold?"],
        ),
        ("[persistence]\nrms_est_fraction = 1\n", ["persistence.rms_est_fraction", "greater than or equal to 2", "1"]),
        ("[execution]\ngranularity = 'source'\n", ["execution.granularity", "'timestep'", "'source'"]),
        (
            "[source_extraction]\ndetection_threshold = 4\nanalysis_threshold = 5\n",
            ["source_extraction", "analysis_threshold 5.0 is above detection_threshold 4.0"],
        ),
        ("[quality\n", ["not valid TOML", "line 1"]),
        (b"\xff\xfe", ["cannot read the configuration"]),
    ],
)
def test_bad_setting_is_refused_with_file_setting_and_value(load, text, parts):
    with pytest.raises(ConfigError) as caught:
        load(text)
    for part in ["trap.toml: ", *parts]:
        assert part in str(caught.value)


def test_every_bad_setting_is_named_at_once(load):
    with pytest.raises(ConfigError, match=r"margin.*; .*elliptical_x|elliptical_x.*; .*margin"):
        load("[source_extraction]\nmargin = -1\n[quality]\nelliptical_x = 0.5\n")


def test_missing_file_is_a_configuration_error(tmp_path):
    with pytest.raises(ConfigError, match=r"nothing\.toml: cannot read the configuration: .*No such file"):
        load_config(tmp_path / "nothing.toml")


@pytest.mark.parametrize("options", [{"quality": {"rms_est_max": -1.0}}, {"qualitee": {}}, {"quality": {"rms": 1.0}}])
def test_bad_option_is_refused(options):
    with pytest.raises(ConfigError, match=r"^options: .*quali"):
        PipelineConfig().with_options(**options)


def test_former_limit_of_false_alarms_is_ignored(load):
    former = load("[transient_search]\nmax_false_alarms = 1e-4\nbackward_fits = 3\n")
    assert former == PipelineConfig().with_options(transient_search={"backward_fits": 3})
    assert "max_false_alarms" not in dict(former.transient_search)


def test_settings_are_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        PipelineConfig().quality.rms_est_max = 1.0


# Effect on the results


def test_options_replace_only_the_named_settings():
    config = PipelineConfig().with_options(quality={"rms_est_max": 1.0}).with_options(quality={"rms_est_min": 0.5})
    assert (config.quality.rms_est_max, config.quality.rms_est_min) == (1.0, 0.5)


@pytest.mark.parametrize(
    "options", [{"execution": {"n_workers": 7}}, {"persistence": {"dataset_id": 3, "description": "other"}}]
)
def test_setting_without_effect_on_results_does_not_change_the_hash(options):
    changed = PipelineConfig().with_options(**options)
    assert changed.science_hash == PipelineConfig().science_hash
    assert PipelineConfig().differences(changed) == []


def test_setting_with_effect_on_results_changes_the_hash_and_is_named():
    changed = PipelineConfig().with_options(association={"deruiter_radius": 4.0})
    assert changed.science_hash != PipelineConfig().science_hash
    assert PipelineConfig().differences(changed) == ["association.deruiter_radius is 5.68 instead of 4.0"]
    assert re.fullmatch(r"[0-9a-f]{16}", changed.science_hash)


@pytest.mark.parametrize("letters", ["vq", "Q, V", "QV", "V Q"])
def test_set_of_stokes_parameters_is_written_in_any_way(letters):
    settings = SourceExtractionConfig(negative=letters)
    assert settings.negative == "QV"
    assert [code for code in (-8, -7, 1, 2, 3, 4, 5) if settings.searches_negative(code)] == [2, 4]


def test_correlations_are_told_apart_in_a_set():
    settings = SourceExtractionConfig(negative="XYRL")
    assert [code for code in range(-8, 5) if settings.searches_negative(code)] == [-7, -3]


@pytest.mark.parametrize(
    "text",
    ['[reading]\nstokes = "W"', '[[reading.given]]\nstokes = "W"', '[source_extraction]\nnegative = "QW"'],
)
def test_letter_of_no_stokes_parameter_is_refused_with_the_list(load, text):
    with pytest.raises(ConfigError, match="I, Q, U, V, RR, LL, RL, LR, XX, YY, XY, YX .got '.*W'"):
        load(text)


def test_letter_of_a_stokes_parameter_may_be_small(load):
    reading = load('[reading]\nstokes = "v"\n[[reading.given]]\nstokes = "xx"').reading
    assert (reading.stokes, reading.given[0].stokes) == ("V", "XX")


# Ends


def numbers():
    """Every setting that is a number, with its section."""
    for section, field in PipelineConfig.model_fields.items():
        for name, item in field.annotation.model_fields.items():
            if item.annotation in {int, float}:
                yield section, name, item.annotation


@pytest.mark.parametrize(("section", "name", "kind"), list(numbers()))
def test_every_number_has_two_ends(section, name, kind):
    largest = 10**30 if kind is int else 1e300
    for value in (largest, -largest, *([] if kind is int else [float("nan"), float("inf")])):
        with pytest.raises(ConfigError, match=rf"options: {section}\.{name}: .*\(got "):
            PipelineConfig().with_options(**{section: {name: value}})


@pytest.mark.parametrize(
    ("section", "name", "value", "complaint"),
    [
        ("execution", "metrics", "localhost:99999", "port 99999 is not between 1 and 65535"),
        ("execution", "metrics", "localhost:0", "port 0"),
        ("execution", "metrics", f"{'a' * 70}.org:80", "label"),
        ("execution", "metrics", "localhost:٣", "pattern"),
        ("execution", "dask", "tcp://host:99999", "Port out of range"),
        ("execution", "images", ["a.fits", "b\0.fits"], "NUL"),
        ("execution", "database", "sqlite:///a\0b", "NUL"),
        ("persistence", "description", "a\0", "NUL"),
        ("execution", "pictures", "x" * 20_000, "at most 10000 characters, got 20000"),
        ("execution", "n_workers", 100_000, "1024"),
        ("persistence", "dataset_id", 2**63, "9223372036854775807"),
        ("reading", "given", [{"telescope": "a\0"}], "NUL"),
    ],
)
def test_value_that_nothing_can_use_is_one_line(section, name, value, complaint):
    with pytest.raises(ConfigError, match=complaint) as raised:
        PipelineConfig().with_options(**{section: {name: value}})
    assert "\n" not in str(raised.value)
    assert len(str(raised.value)) < 500


@pytest.mark.parametrize(
    "text",
    [
        "[execution]\nimages = " + "[" * 5000 + "]" * 5000,
        "a = " + "{a=" * 5000 + "1" + "}" * 5000,
        f"{'.'.join('a' * 1500)} = 1",
        f"[{'.'.join('a' * 30)}]",
        f"[execution]\nimages = {'[' * 30}{']' * 30}",
        f"[execution]\nn_workers = {'9' * 5000}",
        "[execution]\nn_workers = 99999999999999999999999999",
        '[execution]\nimages = ["a\\u0000b"]',
        "\0",
    ],
)
def test_hostile_file_is_one_line(tmp_path, text):
    path = tmp_path / "trap.toml"
    path.write_text(text)
    with pytest.raises(ConfigError, match=r"trap\.toml") as raised:
        load_config(path)
    assert len(str(raised.value)) < 500


def test_name_with_nul_is_no_file():
    with pytest.raises(ConfigError, match="cannot read"):
        load_config("a\0.toml")
