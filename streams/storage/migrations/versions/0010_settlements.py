"""What each market paid, as the ledger has it, and who was asked to redeem it."""

from pathlib import Path

from alembic import op

revision = "0010"
down_revision = "0009"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the tables, what marks a result that has changed, and the index by market."""
    op.get_bind().connection.cursor().execute((_SQL / "0010_settlements.sql").read_text())
