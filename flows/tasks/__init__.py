"""Steps as Prefect tasks: their division, their policies and retries, their executor."""
