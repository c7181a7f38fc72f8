"""Who writes a row of `trading` gives its time: no column has the clock as its default."""

from pathlib import Path

from alembic import op

revision = "0024"
down_revision = "0023"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Drop the defaults that read a clock; the rows that are there keep their times."""
    op.get_bind().connection.cursor().execute((_SQL / "0024_given_times.sql").read_text())
