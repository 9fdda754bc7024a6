"""Alembic runs this for every migration, on the connection that `store.database` holds."""

from alembic import context

from pictura.store.tables import Base

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=Base.metadata,
    transactional_ddl=True,  # on SQLite too: `store.database` begins transactions itself
    render_as_batch=True,
)
context.run_migrations()
