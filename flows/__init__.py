"""The pipeline as Prefect flows: the steps of `trap` run, retried and watched as tasks."""
