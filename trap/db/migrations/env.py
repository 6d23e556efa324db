"""How Alembic runs the migrations: on the connection that :mod:`trap.db.schema` gives it."""

from alembic import context

from trap.db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite alters hardly anything in place
    transactional_ddl=True,  # true of SQLite as well, see trap.db.engine
)
context.run_migrations()
