"""Alembic's entry: runs the versions on the connection that `streams.storage.schema.migrate` hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table="schema_version",
    version_table_schema="trading",
)
with context.begin_transaction():
    context.run_migrations()
