"""Double entry: postings of every ledger entry, and the constraint that they balance."""

from pathlib import Path

from alembic import op

revision = "0012"
down_revision = "0011"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the postings of what is there, the deferred constraint, and the totals of each account."""
    op.get_bind().connection.cursor().execute((_SQL / "0012_double_entry.sql").read_text())
