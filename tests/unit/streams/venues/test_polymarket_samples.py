"""Every HTTP body collected of the venue, and a self-made subset that always runs, becomes what is documented."""

from __future__ import annotations

import json
from pathlib import Path

from tests.support.polymarket_samples import PAGE, READERS, ROWS, is_read, page, read_folder, read_sample

FIXTURES = Path(__file__).parents[3] / "fixtures/polymarket/answers.json"


def test_every_sample_parses_or_gives_the_documented_error(shared_dir: Path) -> None:
    folder = shared_dir / "venues/polymarket-samples"
    readings = read_folder(folder)
    assert {row.file for row in readings} == {path.name for path in folder.glob("*") if is_read(path.name)}
    assert PAGE.read_text() == page(readings), "run `python -m tests.support.polymarket_samples <folder>`"


def test_self_made_bodies_of_every_kind_are_read() -> None:
    answers = json.loads(FIXTURES.read_text())
    results = {row.file: row.result for file, body in answers.items() for row in read_sample(file, body)}
    assert {file.removesuffix(".json") for file in answers} >= READERS.keys() - {
        "clob_post_order_response"
    } | ROWS.keys()
    assert results["clob_book.json"] == "BookSnapshot (2 bids, 2 asks)"
    assert results["clob_post_orders_response.json"] == "1 PostAnswer, 1 Refused(insufficient_balance)"
    assert results["data_v2_error.json"] == "Refused(bad_request)"
