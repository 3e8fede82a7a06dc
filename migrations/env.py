"""What alembic runs: the steps, within the transaction of the connection that it is handed.

There is no ``alembic.ini``: :mod:`batcher.adapters.store.migrate` gives the connection and, to
compare, the models' metadata.
"""

from alembic import context

attributes = context.config.attributes
context.configure(
    connection=attributes["connection"],
    target_metadata=attributes.get("metadata"),
    render_as_batch=True,
)
with context.begin_transaction():
    context.run_migrations()
