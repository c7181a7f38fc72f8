"""What a signal is expected to bring per dollar and day."""

from pathlib import Path

from alembic import op

revision = "0026"
down_revision = "0025"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the column; open signals have what they lock per dollar and day."""
    op.get_bind().connection.cursor().execute((_SQL / "0026_expected.sql").read_text())
