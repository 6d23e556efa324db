"""Pages, events and progress on the Prefect server."""
