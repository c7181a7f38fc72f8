"""What a venue answered to an order, beside the fills that are read later."""

from pathlib import Path

from alembic import op

revision = "0011"
down_revision = "0010"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add what was answered, and how much of it has been read."""
    op.get_bind().connection.cursor().execute((_SQL / "0011_answers.sql").read_text())
