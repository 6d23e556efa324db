"""Services around the runs: the Prefect server, its deployments, and the identity, log and end of a run."""
