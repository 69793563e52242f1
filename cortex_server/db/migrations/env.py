"""Runs the migrations inside the transaction of the connection that `db.migrate` passes."""

from alembic import context

from cortex_server.db.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
context.run_migrations()
