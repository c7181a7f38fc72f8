"""The generated reference pages are those of the source."""

from pathlib import Path

from app.reference import REFERENCE_DIR, write_pages


def test_the_committed_pages_are_up_to_date(tmp_path: Path) -> None:
    write_pages(tmp_path)
    for page in sorted(tmp_path.iterdir()):
        assert (REFERENCE_DIR / page.name).read_text() == page.read_text(), f"run `make docs`: {page.name} is old"
