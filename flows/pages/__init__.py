"""Artifacts, events, progress and states of runs on the Prefect server."""
