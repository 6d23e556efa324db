"""The Prefect server, its deployments, and the identity of runs."""
