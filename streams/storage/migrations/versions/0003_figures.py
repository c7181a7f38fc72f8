"""What the views of the warehouse rest on: totals that follow the facts, indexes, and how a view is changed."""

from pathlib import Path

from alembic import op

revision = "0003"
down_revision = "0002"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the totals, fill them from what was booked before, and add the functions that keep views."""
    op.get_bind().connection.cursor().execute((_SQL / "0003_figures.sql").read_text())
