"""The index by which the executions of a period are found."""

from pathlib import Path

from alembic import op

revision = "0018"
down_revision = "0017"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the index."""
    op.get_bind().connection.cursor().execute((_SQL / "0018_execution_windows.sql").read_text())
