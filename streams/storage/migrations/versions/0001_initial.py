"""The first schema: raw and trading, and the roles."""

from pathlib import Path

from alembic import op

revision = "0001"
down_revision = None

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Create everything, from plain SQL."""
    connection = op.get_bind().connection.cursor()
    for name in ("0001_raw.sql", "0001_trading.sql", "0001_roles.sql"):
        connection.execute((_SQL / name).read_text())
