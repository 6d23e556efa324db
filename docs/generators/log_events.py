"""The log events of the pipeline in words. A test compares them with the calls of the loggers in the code."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")

MEANINGS = {
    "Progress of a run": {
        "flow_run_started": "The Prefect run of this dataset has begun; `ui` is the address of its page.",
        "compiling, once (about 20 s)": "The compiled loops are not in the cache yet.",
        "run_planned": "Headers were read: the number of timesteps to process, and of images that the dataset holds.",
        "waiting_for_dataset": "Another run is writing the dataset, and this one waits for its end.",
        "reference_loaded": "A reference catalogue of the calibration was read, with the columns that were taken.",
        "monitors_added": "Monitored positions were added to the dataset, and measured in earlier images.",
        "earlier_images_not_readable": "Earlier images that new sources should be measured in have no readable file.",
        "timestep_stored": "A timestep is in the database: images, accepted images, sources found, forced fits"
        " (earlier images included), new candidates, sources left out by reason, applied gain and shift, and seconds.",
        "new_source_candidate": "A transient candidate, with its grade, newness, S/N, position and flux density (Jy).",
        "image_measured": "An image was searched: sources, noise (Jy/beam) and seconds of each stage.",
        "image_associated": "The sources of an image were matched with the running catalogue.",
        "source_list_read": "A source list of another finder was read, with the conversions that were made.",
        "candidate_pages": "Pages of new sources in Prefect: those published, those written as files, and the others.",
        "metrics_served": "Counters for Prometheus are served at `url`.",
    },
    "Problems of images": {
        "image_left_out": "An image gives no measurements; the run goes on without it.",
        "image_doubtful": "An image is used in spite of findings of its checks.",
        "image_given_up": "Measuring an image ended worker processes again and again.",
        "beam_unusable": "The beam in the header is impossible.",
        "beam_of_plane_missing": "The table of beams has no row for the plane that is read.",
        "beam_of_plane_unusable": "The beam of the plane in the table of beams is impossible.",
        "bandwidth_assumed": "The header has no bandwidth; `freq_bw` (Hz) was assumed.",
        "keyword_ignored": "A keyword of the header cannot be used, and was not needed.",
        "card_unreadable": "A card of the header cannot be parsed.",
        "start_taken_as_midnight": "The header has the day of the observation without a time.",
        "lofar_table_unreadable": "A table of a LOFAR image cannot be read.",
        "lofar_stations_unknown": "The theoretical noise cannot be computed: the header lacks `missing`.",
    },
    "Problems of a run": {
        "timestep_failed": "A timestep could not be processed, with its traceback. Nothing of it is stored.",
        "retried": "A step failed for a passing reason, and is tried again after `seconds`.",
        "field_in_other_dataset": "The new dataset has the field, bands and settings of others, which are named.",
        "setting_differs": "A setting of the run differs from the one that is frozen with the dataset.",
        "monitored_position_never_measured": "No image of the dataset has measured a monitored position, and why.",
        "metrics_not_served": "The address of the counters is in use, or impossible.",
        "settings_not_written": "The copy of the settings in the folder of the log cannot be written.",
        "log_not_written": "The log file cannot be written; later lines are tried again.",
        "candidate_not_drawn": "The picture of a new source could not be made.",
        "candidates_not_drawn": "The pictures of new sources could not be made.",
        "variables_not_drawn": "The pictures of variable sources could not be made.",
        "pictures_not_written": "The folder of pictures cannot be written.",
        "report_not_written": "The report of the dataset could not be made.",
        "report_not_published": "The report was written, but Prefect has no page of it.",
    },
    "Live runs": {
        "live_started": "The live run waits for images of `source`.",
        "live": "Every ten seconds: lag (s), images that wait, timesteps stored and failed, images left out.",
        "stream_connected": "The sender of a stream is connected.",
        "stream_lost": "A sender is not connected; the connection is tried again.",
        "not_readable": "A watched folder, or a part of it, cannot be listed.",
    },
    "Prefect": {
        "prefect_server_starting": "A Prefect server is started in the background.",
        "prefect_server": "The address of the server's pages.",
        "prefect_request_refused": "The server refused a request; the run goes on.",
        "prefect_server_lost": "The server does not respond; `effect` is what the run does.",
        "prefect_server_back": "The server responds again, after `seconds`.",
        "final_state_not_recorded": "The server could not record the end of the run.",
        "task_not_ended": "A task of the run could not be ended on the server.",
        "proxy_ignored": "A variable of the environment names a proxy that cannot be used.",
        "work_pool_made": "`transients deploy` created a work pool.",
        "deployment_made": "A deployment was created or changed.",
        "automation_made": "An automation was created.",
        "deployment_not_paused": "A deployment could not be paused at the end of `transients ui`.",
        "watching": "A folder is watched for images with names of these patterns.",
        "images_arrived": "Images have become complete; one event of the server names them.",
        "images_handed_over": "The sensor started a run for images.",
        "dataset_is_busy": "Images wait, since another run is writing their dataset.",
        "run_died": "The process of a run has died.",
        "run_restarted": "A run that died was started again.",
    },
    "Pages of results": {
        "page_failed": "A page could not be made, with the error.",
        "download_left": "The reader of a download went away before its end.",
        "download_failed": "A download ended with an error.",
        "position_job_failed": "The forced fits at a position ended with an error.",
    },
}
"""Meanings of the events by their names, in groups."""


class Call(NamedTuple):
    """A call of a logger: the level and the fields of an event."""

    level: str
    fields: tuple[str, ...]


def logged_events() -> dict[str, list[Call]]:
    """Find the events that the code logs, each with the calls that log it."""
    found: dict[str, list[Call]] = {}
    for folder in ("trap", "flows"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
                if isinstance(node, ast.Call) and _is_of_logger(node):
                    fields = tuple(keyword.arg for keyword in node.keywords if keyword.arg)
                    found.setdefault(node.args[0].value, []).append(Call(node.func.attr, fields))  # type: ignore[attr-defined]
    return found


def _is_of_logger(node: ast.Call) -> bool:
    """Return whether a call names an event to a logger: ``log.info("name", …)``, and not ``parser.error("…")``."""
    function = node.func
    if not isinstance(function, ast.Attribute) or function.attr not in LEVELS or not node.args:
        return False
    owner = ast.unparse(function.value)
    is_log = owner in {"log", "_log", "_logger"} or owner.startswith(("log.", "structlog.get_logger("))
    return is_log and isinstance(node.args[0], ast.Constant) and isinstance(node.args[0].value, str)
