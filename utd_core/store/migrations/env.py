"""Run by Alembic, on the connection and in the transaction of whoever called it."""

from alembic import context

from utd_core.store.tables import metadata, version

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    version_table=version.name,
    render_as_batch=True,
)
context.run_migrations()
