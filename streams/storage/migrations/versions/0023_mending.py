"""Orders that buy the complement of a leg."""

from pathlib import Path

from alembic import op

revision = "0023"
down_revision = "0022"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Allow the purpose `complement`."""
    op.get_bind().connection.cursor().execute((_SQL / "0023_mending.sql").read_text())
