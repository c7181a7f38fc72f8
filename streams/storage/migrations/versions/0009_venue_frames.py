"""The frames of a segment, counted by venue."""

from pathlib import Path

from alembic import op

revision = "0009"
down_revision = "0008"

_SQL = Path(__file__).parent.parent / "sql"


def upgrade() -> None:
    """Add the column and the indexes by which the watcher of alerts finds what is new."""
    op.get_bind().connection.cursor().execute((_SQL / "0009_venue_frames.sql").read_text())
