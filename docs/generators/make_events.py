"""Generate docs/reference/events.md: events on the Prefect server, counters, and log events.

A test fails if the file is out of date.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from log_events import MEANINGS, logged_events

from flows.pages.event_fields import EVENTS
from trap.run.observers import Meters

PAGE = Path(__file__).parents[1] / "reference" / "events.md"

_HEAD = """\
# Events, counters and logs

<!-- made by docs/generators/make_events.py from the code; do not edit -->

A run reports what it does in three ways: events on the Prefect server start automations, counters draw graphs in
Prometheus, and log events are lines for people and programs. The names here are public: a changed name is announced in
the [changelog](../development/changelog.md).

## Events on the Prefect server

[Alerts](../how-to/alerts.md) describes automations with these events. The id of a resource
begins with the label of the dataset, such as `trap.dataset.ab12cd-1`: six hexadecimal digits that stand for the
database, and the number of the dataset. The dataset itself is among the related resources, with the role `dataset`.
"""

_COUNTERS = """
## Counters for Prometheus

`--metrics HOST:PORT`, or the setting [`metrics`](configuration.md#metrics), serves the counters of a run. Each run has
its own, which begin at zero.

| metric | kind | labels | meaning |
|---|---|---|---|"""

_LOG = """
## Log events

The log goes to standard error. Lines at a terminal are for people; `--json-logs` writes each event as a JSON object
there, and `--log-dir DIR` writes them to `DIR/trap.log` as well. Every object has `event`, `level` and `timestamp`
(UTC). Where they apply, it also has `dataset`, `timestep`, `place` (the place of the timestep in the run), `image`, and
under Prefect `flow_run_id` and `task_run_id`. Events of the level debug are written with `--verbose` only."""


def events_page() -> str:
    """Write the page as Markdown."""
    lines = [_HEAD, *_prefect_events(), _COUNTERS, *_counters(), _LOG]
    calls = logged_events()
    for group, meanings in MEANINGS.items():
        lines.append(f"\n### {group}\n\n| event | level | fields | meaning |\n|---|---|---|---|")
        for name, meaning in meanings.items():
            levels = {"error" if call.level == "exception" else call.level for call in calls[name]}
            fields = dict.fromkeys(field for call in calls[name] for field in call.fields)
            shown = ", ".join(f"`{field}`" for field in fields)
            lines.append(f"| `{name}` | {', '.join(sorted(levels))} | {shown} | {meaning} |")
    return "\n".join(lines) + "\n"


def _prefect_events() -> Iterator[str]:
    """Yield a section for each kind of event."""
    for name, kind in EVENTS.items():
        yield f"### `{name}`\n\nEmitted when {kind.emitted}. Resource: `{kind.resource}`.\n"
        yield "| field | meaning |\n|---|---|"
        yield from (f"| `{field}` | {meaning} |" for field, meaning in kind.payload.items())
        if kind.labels:
            yield "\n| label of the resource | meaning |\n|---|---|"
            yield from (f"| `{label}` | {meaning} |" for label, meaning in kind.labels.items())
        yield ""


def _counters() -> Iterator[str]:
    """Yield a row for each metric."""
    meters = Meters()
    for metric in meters.registry.collect():
        name = f"{metric.name}_total" if metric.type == "counter" else metric.name
        labels = ", ".join(f"`{label}`" for label in meters.registry._names_to_collectors[metric.name]._labelnames)  # noqa: SLF001
        yield f"| `{name}` | {metric.type} | {labels} | {metric.documentation} |"


if __name__ == "__main__":
    PAGE.write_text(events_page(), encoding="utf-8")
    print(f"{PAGE} written")
