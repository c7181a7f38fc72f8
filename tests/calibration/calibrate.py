"""Runs the flow against offline books and writes what came out into the documentation.

`python -m tests.calibration.calibrate [--hours 1] [--seed 20260324] [--docs docs]` rewrites the tables between the
marks in `docs/sandbox.md` and the plots beside it, and prints the figures next to their targets.
"""

from __future__ import annotations

import argparse
import re
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from streams.sandbox.catalogue.catalogue import Catalogue
from streams.sandbox.catalogue.load import load_catalogue
from streams.sandbox.catalogue.truth import true_pairs
from streams.sandbox.simulation import parameters
from streams.sandbox.simulation.flow import Flow
from streams.sandbox.simulation.parameters import FlowParameters
from tests.calibration.charts import Marker, histogram
from tests.calibration.measure import GapMeter, quantile
from tests.calibration.offline import OfflineExchange

STEP_MS = 250
_START = datetime(2026, 3, 24, 12, 0, 7, tzinfo=UTC)
_WARM_UP_S = 15
_TARGET_MINUTES, _TARGET_CENTS, _TARGET_MID, _TARGET_MID_90 = 2.4, 1.5, 0.45, 2.15


@dataclass(slots=True)
class Measured:
    """What a simulation gave; lengths in minutes, edges and differences in cents."""

    seconds: int
    minutes: list[float]
    edges: list[float]
    mid_differences: list[float]
    level_changes_per_s: float
    trades_per_s: float
    flow_cpu_share: float
    pairs: int


def simulate(
    catalogue: Catalogue, seed: int, parameters: FlowParameters, seconds: int, look_every_s: int = 2
) -> Measured:
    """Run the flow for some simulated seconds and watch the catalogue's true pairs."""
    flow, exchange = Flow(catalogue, seed, parameters), OfflineExchange()
    meter = GapMeter(true_pairs(catalogue.truth))
    start_ms, fills, cpu = int(_START.timestamp() * 1000), exchange.apply([]), 0.0
    for number in range(seconds * 1000 // STEP_MS):
        before = time.process_time()
        acts = flow.step(start_ms + number * STEP_MS, fills)
        cpu += time.process_time() - before
        fills = exchange.apply(acts)
        second, rest = divmod(number * STEP_MS, 1000)
        if rest == 0 and second >= _WARM_UP_S and second % look_every_s == 0:
            meter.look(exchange, second, takes_mids=second % 10 == 0)
    meter.finish()
    return Measured(
        seconds,
        [episode.seconds / 60 for episode in meter.episodes],
        [episode.peak_edge_cents for episode in meter.episodes],
        meter.mid_differences_cents,
        sum(exchange.level_changes.values()) / seconds,
        exchange.trades / seconds,
        cpu / seconds,
        len(meter.pairs),
    )


def figures(measured: Measured) -> list[tuple[str, str, str]]:
    """(what, measured, target) rows."""
    found = measured
    return [
        ("time simulated", f"{found.seconds / 3600:g} h", "none"),
        ("length of a gap, median", f"{quantile(found.minutes, 0.5):.2f} min", f"{_TARGET_MINUTES} min"),
        ("length of a gap, 90 % below", f"{quantile(found.minutes, 0.9):.2f} min", "none"),
        ("best net edge in a gap, median", f"{quantile(found.edges, 0.5):.2f} cents", f"{_TARGET_CENTS} cents"),
        ("best net edge in a gap, 90 % below", f"{quantile(found.edges, 0.9):.2f} cents", "none"),
        ("difference of mids, median", f"{quantile(found.mid_differences, 0.5):.2f} cents", f"{_TARGET_MID} cents"),
        (
            "difference of mids, 90 % below",
            f"{quantile(found.mid_differences, 0.9):.2f} cents",
            f"{_TARGET_MID_90} cents",
        ),
        ("gaps per hour, all pairs", f"{len(found.minutes) * 3600 / found.seconds:.0f}", "none"),
        ("true pairs of the catalogue", str(found.pairs), "none"),
        ("level changes per second, all books", f"{found.level_changes_per_s:.0f}", "1,200 to 1,800"),
        ("trades per second, all books", f"{found.trades_per_s:.1f}", "none"),
    ]


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join([*lines, *("| " + " | ".join(row) + " |" for row in rows)])


def parameter_rows() -> list[tuple[str, str, str]]:
    """(name, value, meaning) of every parameter, the meaning taken from the source beside it."""
    source = Path(parameters.__file__).read_text(encoding="utf-8")
    body = source[source.index("class FlowParameters") :]
    meanings: dict[str, str] = {}
    waiting: list[str] = []
    for match in re.finditer(r'^    (\w+): [^=\n]+ = .*$|^    """((?:.|\n)*?)"""$', body, re.MULTILINE):
        if match.group(1):
            waiting.append(match.group(1))
        elif match.group(2) and waiting:
            meanings.update(dict.fromkeys(waiting, " ".join(match.group(2).split())))
            waiting = []
    return [(f"`{name}`", value, meanings.get(name, "")) for name, value in FlowParameters().as_rows()]


def write_documents(measured: Measured, folder: Path) -> None:
    """Rewrite the marked tables of `sandbox.md` and the three plots."""
    plots = {
        "gap-length": ("Gaps: how long they last", "minutes (log scale)", measured.minutes,
                       (0.02, 0.1, 0.5, 2.4, 10, 40), _TARGET_MINUTES),
        "gap-edge": ("Gaps: best edge after both venues' fees", "cents per contract (log scale)", measured.edges,
                     (0.2, 0.5, 1.5, 4, 10), _TARGET_CENTS),
        "mid-difference": ("True pairs: distance of mids", "cents (log scale)", measured.mid_differences,
                           (0.05, 0.15, 0.45, 1, 2.15, 10), _TARGET_MID),
    }  # fmt: skip
    (folder / "sandbox").mkdir(parents=True, exist_ok=True)
    for name, (title, axis, values, ticks, target) in plots.items():
        median = quantile(values, 0.5)
        markers = [Marker(median, f"median {median:.2f}"), Marker(target, f"target {target:g}", is_target=True)]
        if name == "mid-difference":
            markers.append(Marker(quantile(values, 0.9), f"90 % below {quantile(values, 0.9):.2f}"))
            markers.append(Marker(_TARGET_MID_90, f"target {_TARGET_MID_90:g}", is_target=True))
        (folder / "sandbox" / f"{name}.svg").write_text(
            histogram(title, axis, values, ticks, markers), encoding="utf-8"
        )
    page = folder / "sandbox.md"
    text = page.read_text(encoding="utf-8")
    text = between(text, "figures", table(("figure", "simulated", "target"), figures(measured)))
    text = between(text, "parameters", table(("parameter", "value", "meaning"), parameter_rows()))
    page.write_text(text, encoding="utf-8")


def between(text: str, name: str, content: str) -> str:
    """Return the text with what stands between two marks replaced."""
    pattern = re.compile(rf"(<!-- {name} -->\n).*?(<!-- end of {name} -->)", re.DOTALL)
    return pattern.sub(lambda match: match.group(1) + content + "\n" + match.group(2), text)


def main() -> None:
    """Simulate, print, write."""
    parser = argparse.ArgumentParser(description="Simulate the sandbox's flow and document what it produces.")
    parser.add_argument("--hours", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=20260324)
    parser.add_argument("--docs", type=Path, default=Path("docs"))
    options = parser.parse_args()
    catalogue = load_catalogue(None, _START)
    measured = simulate(catalogue, options.seed, FlowParameters(), int(options.hours * 3600))
    for what, found, target in figures(measured):
        print(f"{what}: {found} (target {target})")
    print(f"CPU of the flow: {measured.flow_cpu_share:.3f} of one core")
    write_documents(measured, options.docs)


if __name__ == "__main__":
    main()
