"""Days of the raw tables are made before a row needs them; no partition takes the rows that have none."""

from pathlib import Path

from alembic import op

revision = "0006"
down_revision = "0005"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the functions. The rows of default partitions are moved after this, in batches, by `migrate`."""
    op.get_bind().connection.cursor().execute((_SQL / "0006_partitions.sql").read_text())
