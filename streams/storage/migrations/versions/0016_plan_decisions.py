"""What each plan was decided on."""

from pathlib import Path

from alembic import op

revision = "0016"
down_revision = "0015"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the table."""
    op.get_bind().connection.cursor().execute((_SQL / "0016_plan_decisions.sql").read_text())
