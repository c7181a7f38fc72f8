"""The real recordings through the recorder's pipeline: what they came to on the day this was written, exactly."""

from __future__ import annotations

from pathlib import Path

import pytest

from streams.recorder.rebuild.rebuild import rebuild

POLYMARKET = {
    "mlb-bal-tex-2025-07-01": (4804, 0, 114, 30),
    "mlb-cin-bos-2025-07-01": (10267, 0, 200, 46),
    "mlb-cle-sf-2025-06-19": (3536, 0, 88, 8),
    "mlb-kc-tex-2025-06-19": (4498, 0, 6, 6),
    "mlb-sd-lad-2025-06-17": (11284, 0, 348, 58),
    "mlb-tor-cle-2025-06-24": (1552, 0, 42, 12),
    "mlb-wsh-sd-2025-06-24": (11540, 0, 88, 30),
}


@pytest.mark.parametrize("game", sorted(POLYMARKET))
def test_every_polymarket_book_is_classified_and_each_unexplained_one_listed(shared_dir: Path, game: str) -> None:
    report = rebuild(shared_dir / "data" / "books" / "polymarket_mlb_2025" / f"{game}.csv.gz")
    differences = report.differences
    assert (report.deltas, *differences.values()) == POLYMARKET[game]
    assert len(report.unexplained) == differences["unexplained"]
    assert all(entry["levels"] for entry in report.unexplained)
    assert report.books == sum(differences.values()) + 2, "the first book of each token has none before it"
    assert report.after_stale == (2 if game == "mlb-tor-cle-2025-06-24" else 0), "a recorded book crossed for seconds"
    assert {entry["reads_as"] for entry in report.unexplained} <= {"fill_with_rest", "fill_on_both_sides", "other"}
    assert report.unusable_rows == (1 if game == "mlb-cin-bos-2025-07-01" else 0)


def test_real_kalshi_frames_fold_to_the_same_books_as_an_independent_fold(shared_dir: Path) -> None:
    report = rebuild(shared_dir / "data" / "books" / "kalshi_ws_2026-08-07.json.gz")
    assert (report.frames, report.deltas, report.books) == (269, 245, 12)
    assert report.equals_independent_fold is True
    assert (report.sequence_holes, report.negative_levels, report.unusable_rows) == (0, 0, 0)
