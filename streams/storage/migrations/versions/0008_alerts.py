"""What became of each alert: receipts, acknowledgement, and "no channel" as a state of its own."""

from pathlib import Path

from alembic import op

revision = "0008"
down_revision = "0007"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the columns of delivery, the receipts and the looks."""
    op.get_bind().connection.cursor().execute((_SQL / "0008_alerts.sql").read_text())
