"""What a person says became of an order."""

from pathlib import Path

from alembic import op

revision = "0017"
down_revision = "0016"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the columns and let commands resolve an order."""
    op.get_bind().connection.cursor().execute((_SQL / "0017_resolutions.sql").read_text())
