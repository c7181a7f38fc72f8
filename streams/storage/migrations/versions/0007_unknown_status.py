"""A market may have a status that we do not know."""

from pathlib import Path

from alembic import op

revision = "0007"
down_revision = "0006"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Take the status into the check of versions."""
    op.get_bind().connection.cursor().execute((_SQL / "0007_unknown_status.sql").read_text())
