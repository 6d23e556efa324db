"""What is kept: the relational database, on SQLite and on PostgreSQL alike.

Every function takes a connection and leaves the transaction to its caller, who opens it with
:func:`trap.db.engine.transaction` or :func:`trap.db.engine.reading`.
"""
