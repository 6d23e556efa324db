"""Run Alembic's migrations on the connection that :mod:`trap.db.schema` provides."""

from alembic import context

from trap.db.models import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    render_as_batch=True,  # SQLite can alter few things in place
    transactional_ddl=True,  # true of SQLite as well, see trap.db.engine
)
context.run_migrations()
