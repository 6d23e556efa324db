"""Steps as Prefect tasks: which, in which groups, and how they are retried."""
