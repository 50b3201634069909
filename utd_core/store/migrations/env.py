"""Run by Alembic: on the connection and in the transaction of whoever called it, or to write the SQL for a dialect."""

from alembic import context

from utd_core.store.tables import metadata, version

attributes = context.config.attributes
if context.is_offline_mode():
    context.configure(
        dialect_name=attributes["dialect"],
        target_metadata=metadata,
        version_table=version.name,
        transaction_per_migration=False,
        literal_binds=True,
    )
else:
    context.configure(
        connection=attributes["connection"],
        target_metadata=metadata,
        version_table=version.name,
        render_as_batch=True,
    )
context.run_migrations()
