"""How far the looking for an order has come, on a clock that nobody sets."""

from pathlib import Path

from alembic import op

revision = "0014"
down_revision = "0013"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the columns and the index of orders that count as absent."""
    op.get_bind().connection.cursor().execute((_SQL / "0014_order_watches.sql").read_text())
