"""What every SDK call was answered: the tables of `docs/venues.md`, written by `python -m tests.acceptance.table`."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import Any

from tests.acceptance.stage import HERE, NODE, PYTHON, ROOT, Stage, open_stage

PAGE = ROOT / "docs" / "venues.md"
_IDS = (
    (r"^/trade-api/v2", ""),
    (r"0x[0-9a-fA-F]{40,}|[0-9a-f]{8}-[0-9a-f-]{27}|\d{10,}", "{id}"),
    (r"KX[A-Z]+-1-[A-Z]+", "{ticker}"),
    (r"KX[A-Z]+-1\b", "{event}"),
    (r"KX[A-Z]+\b", "{series}"),
    (r"/slug/[^/]+", "/slug/{slug}"),
    (r"(/gamma/events/)(?!keyset|slug)[^/]+", r"\1{id}"),
)


def kalshi_calls(stage: Stage) -> list[dict[str, Any]]:
    """Run the driver that makes every call of Kalshi's SDK."""
    return stage.run("node", HERE / "kalshi" / "calls.mjs")


def polymarket_calls(stage: Stage) -> list[dict[str, Any]]:
    """Run the driver that makes every call of Polymarket's SDK."""
    return stage.run(PYTHON, HERE / "polymarket" / "calls.py")


def older_calls(stage: Stage) -> list[dict[str, Any]]:
    """Run the driver of Polymarket's older SDKs."""
    return stage.run(PYTHON, HERE / "polymarket" / "clob_client.py")


TABLES = {"kalshi-typescript": kalshi_calls, "polymarket-client": polymarket_calls, "py-clob-client": older_calls}


def render(lines: list[dict[str, Any]]) -> str:
    """The table of the calls that were made, and one of those that were left out, by reason."""
    rows = ["| call | requests | result |", "|---|---|---|"]
    rows += [f"| `{line['call']}` | {_requests(line)} | {_result(line)} |" for line in lines if "left_out" not in line]
    reasons: dict[str, list[str]] = {}
    for line in lines:
        if "left_out" in line:
            reasons.setdefault(line["left_out"], []).append(f"`{line['call']}`")
    if reasons:
        rows += ["", "| left out | why |", "|---|---|"]
        rows += [f"| {' '.join(calls)} | {reason} |" for reason, calls in reasons.items()]
    return "\n".join(rows)


def written(name: str) -> str:
    """The table as it stands in the page."""
    return _marked(name).search(PAGE.read_text()).group(1).strip("\n")  # type: ignore[union-attr]


def _requests(line: dict[str, Any]) -> str:
    sent = line.get("requests") or ([(line["method"], line["path"], line["status"])] if "path" in line else [])
    known = dict.fromkeys(f"`{method} {_general(path)}`" for method, path, _ in sent)
    return ", ".join(known) or "none"


def _general(path: str) -> str:
    for pattern, name in _IDS:
        path = re.sub(pattern, name, path)
    return path


def _result(line: dict[str, Any]) -> str:
    if "body" in line:
        return f"{line['status']} `{line['body']['error']['code']}`"
    if line.get("result", "ok") == "ok":
        return "ok"
    return f"{line['status']} `{line['result']}`" if "status" in line else f"`{line['result']}`"


def _marked(name: str) -> re.Pattern[str]:
    return re.compile(rf"(?<=<!-- {name} -->\n)(.*?)(?=<!-- end of {name} -->)", re.DOTALL)


def main() -> None:
    """Make every call on a stage and write the tables."""
    for needed in (PYTHON.parent.parent, NODE):
        if not (needed / ".installed").exists():
            raise SystemExit("The vendors' SDKs are not installed; run `make setup`.")
    page = PAGE.read_text()
    for name, run in TABLES.items():
        with tempfile.TemporaryDirectory() as home, open_stage(Path(home)) as stage:
            table = render(run(stage))
        page = _marked(name).sub(lambda match, table=table: f"{table}\n", page)
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
