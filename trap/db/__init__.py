"""The relational database of results, on SQLite and PostgreSQL.

Most functions take a connection and leave the transaction to their caller, who opens it with
:func:`trap.db.engine.transaction` or :func:`trap.db.engine.reading`. A run uses :class:`trap.db.store.Store` instead,
whose methods are one transaction each.
"""
