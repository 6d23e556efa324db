import io
import json
import warnings

import pytest
import structlog
from structlog.contextvars import bound_contextvars

from trap.log import configure_logging


@pytest.fixture(autouse=True)
def _restored():
    yield
    structlog.reset_defaults()


def fail_with_a_secret(log):
    secret = "hunter" + "2"
    try:
        int(secret[:-1])
    except ValueError:
        log.exception("broken")


def test_event_is_written_with_its_data_and_context():
    stream = io.StringIO()
    configure_logging(stream=stream)
    with bound_contextvars(timestep=7):
        structlog.get_logger().info("sources_extracted", n_sources=3)
    line = stream.getvalue()
    assert "sources_extracted" in line
    assert "n_sources=3" in line
    assert "timestep=7" in line
    assert "\x1b" not in line


def test_json_lines_are_read_back():
    stream = io.StringIO()
    configure_logging(json_lines=True, stream=stream)
    log = structlog.get_logger()
    log.info("first", value=1)
    log.warning("second")
    first, second = (json.loads(line) for line in stream.getvalue().splitlines())
    assert (first["event"], first["value"], first["level"]) == ("first", 1, "info")
    assert second["level"] == "warning"
    assert second["timestamp"].endswith("Z")


@pytest.mark.parametrize(("verbose", "n_lines"), [(False, 1), (True, 2)])
def test_debugging_events_are_shown_on_request(verbose, n_lines):
    stream = io.StringIO()
    configure_logging(verbose=verbose, stream=stream)
    log = structlog.get_logger()
    log.debug("detail")
    log.info("event")
    assert len(stream.getvalue().splitlines()) == n_lines


@pytest.mark.parametrize("json_lines", [False, True])
def test_exception_comes_with_its_traceback_and_without_its_variables(json_lines):
    stream = io.StringIO()
    configure_logging(json_lines=json_lines, stream=stream)
    fail_with_a_secret(structlog.get_logger())
    assert "ValueError" in stream.getvalue()
    assert "fail_with_a_secret" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()


def test_file_gets_every_event_as_json(tmp_path):
    stream, log_file = io.StringIO(), tmp_path / "run.log"
    log_file.write_text('{"event": "before"}\n')
    configure_logging(stream=stream, log_file=log_file)
    structlog.get_logger().info("événement", value=1)
    fail_with_a_secret(structlog.get_logger())
    before, event, failure = (json.loads(line) for line in log_file.read_text("utf-8").splitlines())
    assert before == {"event": "before"}
    assert (event["event"], event["value"]) == ("événement", 1)
    assert failure["exception"][0]["exc_type"] == "ValueError"
    assert "hunter2" not in log_file.read_text("utf-8")
    assert "événement" in stream.getvalue()


def test_extra_processor_gets_every_event():
    seen = []

    def look(_logger, _method, event):
        seen.append(event["event"])
        return event

    configure_logging(stream=io.StringIO(), extra=[look])
    structlog.get_logger().info("event")
    assert seen == ["event"]


def test_standard_error_is_the_default_so_that_output_can_be_piped(capsys):
    configure_logging()
    structlog.get_logger().info("event")
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "event" in captured.err


def stored(**changes):
    counts = {"images": 2, "accepted": 2, "blind": 71, "forced": 17, "new": 1, "seconds": 0.4, **changes}
    with bound_contextvars(timestep="2026-01-01T11:00:00+00:00", place="12/100", dataset=1, flow_run_id="7ddaee11"):
        structlog.get_logger().info("timestep_stored", **counts)


def test_timestep_is_a_line_for_people():
    stream = io.StringIO()
    configure_logging(stream=stream)
    stored()
    stored(accepted=1)
    stored(n_dropped_edge=2, n_dropped_masked=1)
    stored(gain="0.981", shift="2.1")
    first, second, third, fourth = stream.getvalue().splitlines()
    assert first == "[12/100] 2026-01-01 11:00  71 sources, 17 forced, 1 new"
    assert second == f"{first}, 1 of 2 images left out"
    assert third == f"{first}, 3 sources left out"
    assert fourth == f"{first}, gain 0.981, shift 2.1″"


def test_problems_are_marked_and_nothing_else_is_printed_on_request(tmp_path):
    stream = io.StringIO()
    configure_logging(stream=stream, quiet=True, log_file=tmp_path / "trap.log")
    stored()
    structlog.get_logger().warning("image_left_out", image="a.fits", reason="flat")
    assert stream.getvalue() == "warning: image_left_out image=a.fits reason=flat\n"
    assert len((tmp_path / "trap.log").read_text().splitlines()) == 2


class Broken(io.StringIO):
    encoding = "ascii"

    def write(self, text):
        raise BrokenPipeError


@pytest.mark.parametrize("json_lines", [False, True])
def test_log_that_cannot_be_printed_ends_nothing(json_lines):
    closed = io.StringIO()
    closed.close()
    for stream in (Broken(), closed):
        configure_logging(stream=stream, json_lines=json_lines, verbose=True)
        structlog.get_logger().info("event")


def test_terminal_without_a_character_gets_its_number():
    content = io.BytesIO()
    configure_logging(stream=io.TextIOWrapper(content, encoding="ascii"))
    structlog.get_logger().info("événement", file="\udcff.fits")
    assert content.getvalue() == b"\\xe9v\\xe9nement file=\\xff.fits\n"


def test_log_file_on_a_full_disk_is_reported_once_and_written_again_later(tmp_path):
    stream, log_file = io.StringIO(), tmp_path / "run.log"
    log_file.symlink_to("/dev/full")
    configure_logging(stream=stream, log_file=log_file)
    log = structlog.get_logger()
    log.info("first")
    log.info("second")
    log_file.unlink()
    log.info("third")
    reported, *events = stream.getvalue().splitlines()
    assert reported == f"warning: log_not_written file={log_file} reason=No space left on device"
    assert events == ["first", "second", "third"]
    assert [json.loads(line)["event"] for line in log_file.read_text().splitlines() if line] == ["third"]


def test_missing_folder_of_a_log_file_ends_nothing(tmp_path):
    stream = io.StringIO()
    configure_logging(stream=stream, log_file=tmp_path / "missing" / "run.log")
    structlog.get_logger().info("event")
    assert stream.getvalue().endswith("reason=No such file or directory\nevent\n")


@pytest.mark.parametrize("verbose", [False, True])
def test_escape_codes_and_line_breaks_of_a_name_are_written_out(verbose, tmp_path):
    stream, log_file = io.StringIO(), tmp_path / "run.log"
    configure_logging(stream=stream, verbose=verbose, log_file=log_file)
    structlog.get_logger().warning("left_out", image="\x1b[31ma\nb\u202e.fits")
    assert stream.getvalue().count("\n") == 1
    assert "\\x1b[31ma\\nb\\u202e.fits" in stream.getvalue()
    assert json.loads(log_file.read_text())["image"] == "\x1b[31ma\nb\u202e.fits"


@pytest.mark.parametrize("verbose", [False, True])
def test_message_of_an_exception_has_no_escape_codes(verbose):
    stream = io.StringIO()
    configure_logging(stream=stream, verbose=verbose)
    try:
        int("\x1b[31m")
    except ValueError:
        structlog.get_logger().exception("broken", name="\x9b")
    assert "\x1b" not in stream.getvalue()
    assert "\x9b" not in stream.getvalue()
    assert len(stream.getvalue().splitlines()) > 3


def test_warning_of_a_library_is_one_harmless_line(capsys):
    configure_logging()
    text = warnings.formatwarning("card \x1b[31m\nbad", UserWarning, "lib.py", 7)
    assert text == "lib.py:7: UserWarning: card \\x1b[31m\\nbad\n"
