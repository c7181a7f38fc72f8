"""A login per kind of process: functions that act as the owner, and who may call them."""

from pathlib import Path

from alembic import op

revision = "0004"
down_revision = "0003"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Let the functions that follow the facts act as the owner, and close them to everybody else."""
    op.get_bind().connection.cursor().execute((_SQL / "0004_logins.sql").read_text())
