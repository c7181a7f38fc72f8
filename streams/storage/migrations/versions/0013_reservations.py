"""The whole hedge is reserved before its first order; readings of the venues; decisions of the gate."""

from pathlib import Path

from alembic import op

revision = "0013"
down_revision = "0012"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the tables and count reservations in what is at stake."""
    op.get_bind().connection.cursor().execute((_SQL / "0013_reservations.sql").read_text())
