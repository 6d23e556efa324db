"""The pipeline as Prefect flows: the steps of `trap` run, retried and watched as tasks."""

import os

# Prefect reads these when it is imported, which is when it would report to its makers that it is used, for one. What
# the user has set stands.
_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",  # what a server says whose database is busy; no reason to end a run
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # the log of the pipeline begins before its flow does
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
