"""Limits have known names and finite values; edges that are too good wait for a person."""

from pathlib import Path

from alembic import op

revision = "0019"
down_revision = "0018"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the constraints, and the releases of edges."""
    op.get_bind().connection.cursor().execute((_SQL / "0019_limits.sql").read_text())
