"""The index by which the hedges on a market are found."""

from pathlib import Path

from alembic import op

revision = "0025"
down_revision = "0024"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the index."""
    op.get_bind().connection.cursor().execute((_SQL / "0025_leg_gaps.sql").read_text())
