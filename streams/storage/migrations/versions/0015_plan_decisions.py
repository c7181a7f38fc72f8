"""What each plan was decided on."""

from pathlib import Path

from alembic import op

revision = "0015"
down_revision = "0014"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the table."""
    op.get_bind().connection.cursor().execute((_SQL / "0015_plan_decisions.sql").read_text())
