"""Runs many sequences; a failing one is made as short as it can be."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streams.market.identity import Venue
from tests.engine.invariants import check
from tests.engine.steps import Step, scheme_of, sequence
from tests.engine.wires import Wires
from tests.engine.world import World


@dataclass(frozen=True)
class Failure:
    """A sequence that breaks something, shortened, with what it breaks."""

    venue: Venue
    seed: int
    steps: tuple[Step, ...]
    error: str

    def __str__(self) -> str:
        lines = "\n".join(f"  {step}" for step in self.steps)
        return f"{self.venue} seed {self.seed}: {self.error}\n{lines}"


def run(venue: Venue, seed: int, steps: Sequence[Step], wires: Wires | None) -> str:
    """Run one sequence; "" when all holds, else what does not. With `wires` both ends of the face are compared too."""
    names = {name: f"{venue}:{name}" for name in ("me", "you", "other")}
    if wires is not None:
        names["me"] = wires.account_id
    try:
        attach = wires.attach if wires is not None else None
        world = World(venue, names, "mined" if seed % 2 else "matched", attach, scheme_of(venue, seed))
        if wires is not None:
            wires.follow(world)
        for step in steps:
            world.run(step)
            check(world)
            if wires is not None:
                wires.follow(world)
        if wires is not None:
            wires.check(world)
    except Exception as error:
        return f"{type(error).__name__}: {error}"
    return ""


def attempt(venue: Venue, seed: int, length: int, wires: Wires | None = None) -> Failure | None:
    """Run the sequence of a seed; a failure comes back as short as leaving steps out can make it."""
    steps = sequence(venue, seed, length)
    error = run(venue, seed, steps, wires)
    return Failure(venue, seed, *shorten(venue, seed, steps, error, wires)) if error else None


def shorten(
    venue: Venue, seed: int, steps: Sequence[Step], error: str, wires: Wires | None
) -> tuple[tuple[Step, ...], str]:
    """Leave out what is not needed: first everything after the failure, then ever smaller pieces before it."""
    low, high = 0, len(steps)
    while high - low > 1:
        middle = (low + high) // 2
        found = run(venue, seed, steps[:middle], wires)
        low, high, error = (low, middle, found) if found else (middle, high, error)
    kept = list(steps[:high])
    size = max(1, len(kept) // 2)
    while size:
        start = 0
        while start < len(kept):
            shorter = kept[:start] + kept[start + size :]
            found = run(venue, seed, shorter, wires)
            if found:
                kept, error = shorter, found
            else:
                start += size
        size //= 2
    return tuple(kept), error
