"""The pipeline as Prefect flows: the steps of `trap` as tasks, with retries, states and logs on a server."""

import os

# Prefect reads these variables when it is imported, and would report its use to its makers at the same time. Variables
# that the user has set are not changed.
_DEFAULTS = {
    "DO_NOT_TRACK": "1",
    "PREFECT_CLIENT_RETRY_EXTRA_CODES": "500",  # the reply of a server whose database is busy: retry the request
    "PREFECT_LOGGING_TO_API_WHEN_MISSING_FLOW": "ignore",  # the pipeline logs before its flow starts
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
}
for _name, _value in _DEFAULTS.items():
    os.environ.setdefault(_name, _value)
