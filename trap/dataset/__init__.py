"""The state of a dataset in memory, and the records that go from it to the database."""
