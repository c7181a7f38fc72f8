"""What the world believes of each fact at a moment: the latent probabilities both venues' makers follow."""

from __future__ import annotations

import math
from dataclasses import dataclass
from random import Random
from typing import Any

from streams.sandbox.catalogue.truth import Condition, Fact, Truth, is_met, scalar_probability
from streams.sandbox.simulation.parameters import Coin, FlowParameters

_SLICES = 10
_LOGIT_TO_SD = 0.6
"""A logit moves a probability near one half about as much as 0.6 standard deviations of a scalar do."""
VOID = "void"
Answer = bool | str | float


@dataclass(slots=True)
class Settlement:
    """What one YES pays and how the venue calls it."""

    settlement_e4: int
    result: str


class FairValues:
    """Displacements of all facts from their start, moved in small slices; spot prices of the short series."""

    def __init__(self, truth: Truth, parameters: FlowParameters, rng: Random) -> None:
        self._parameters = parameters
        self._rng = rng
        self._facts = dict(truth.facts)
        self._names = list(self._facts)
        self._moved: dict[str, list[float]] = {name: [0.0] * _width(fact) for name, fact in self._facts.items()}
        self._chances: dict[str, dict[str, float]] = {}
        self._answers: dict[str, Answer] = {}
        self._spots = {coin.code: coin.price for coin in parameters.coins}
        self._short: dict[str, tuple[Coin, int]] = {}
        self._slice = 0
        for name, fact in self._facts.items():
            self._refresh_chances(name, fact)

    # -- movement ---------------------------------------------------------------------------------------------------

    def advance(self, dt_s: float) -> None:
        """Move one tenth of the facts by ten times `dt_s`, and all spot prices by `dt_s`."""
        gauss = self._rng.gauss
        for coin in self._parameters.coins:
            self._spots[coin.code] += coin.sd_per_sqrt_s * math.sqrt(dt_s) * gauss(0.0, 1.0)
        step_s = dt_s * _SLICES
        decay = math.exp(-step_s / (self._parameters.belief_reversion_h * 3600.0))
        sd = self._parameters.belief_sd_per_sqrt_min * math.sqrt(step_s / 60.0)
        jump_chance = self._parameters.jumps_per_h * step_s / 3600.0
        for name in self._names[self._slice :: _SLICES]:
            fact, moved = self._facts[name], self._moved[name]
            for index, value in enumerate(moved):
                step = sd * fact.volatility * gauss(0.0, 1.0)
                if self._rng.random() < jump_chance:
                    step += self._parameters.jump_sd * gauss(0.0, 1.0)
                moved[index] = value * decay + step
            self._refresh_chances(name, fact)
        self._slice = (self._slice + 1) % _SLICES

    def _refresh_chances(self, name: str, fact: Fact) -> None:
        if fact.kind != "categorical":
            return
        moved = self._moved[name]
        pull = self._pull(fact)
        weights = [
            chance * math.exp(moved[index] + (pull if index == 0 else 0.0))
            for index, chance in enumerate(fact.options.values())
        ]
        total = sum(weights)
        self._chances[name] = {option: weight / total for option, weight in zip(fact.options, weights, strict=True)}

    def _pull(self, fact: Fact) -> float:
        parent = self._moved.get(fact.parent)
        return fact.coupling * parent[0] if parent else 0.0

    # -- reading ----------------------------------------------------------------------------------------------------

    def probability(self, condition: Condition, now_ms: int) -> float:
        """The chance, now, that the condition comes true."""
        short = self._short.get(condition.fact_id)
        if short is not None:
            coin, close_ms = short
            left_s = max((close_ms - now_ms) / 1000.0, 0.25)
            sd = coin.sd_per_sqrt_s * self._parameters.short_caution * math.sqrt(left_s)
            return scalar_probability(self._spots[coin.code], sd, 0.01, condition)
        fact = self._facts[condition.fact_id]
        if fact.kind == "categorical":
            chances = self._chances[fact.fact_id]
            names = condition.yes
            return sum(chances[name] for name in names) if isinstance(names, frozenset) else 0.5
        own = self._moved[fact.fact_id][0] * math.sqrt(1.0 - fact.coupling**2) + self._pull(fact)
        if fact.kind == "scalar":
            return scalar_probability(fact.mean + own * _LOGIT_TO_SD * fact.sd, fact.sd, float(fact.step), condition)
        odds = math.log(fact.probability / (1.0 - fact.probability)) if 0 < fact.probability < 1 else 0.0
        chance = 1.0 / (1.0 + math.exp(-(odds + own)))
        return chance if condition.yes else 1.0 - chance

    def spot(self, code: str) -> float:
        """The price of a coin, in dollars."""
        return self._spots[code]

    # -- short series -----------------------------------------------------------------------------------------------

    def add_short(self, fact_id: str, coin: Coin, close_ms: int) -> None:
        """Add the fact "the coin's price at `close_ms`"."""
        self._short[fact_id] = (coin, close_ms)

    def drop_short(self, fact_id: str) -> None:
        """Forget a short fact once all its markets are paid."""
        self._short.pop(fact_id, None)
        self._answers.pop(fact_id, None)

    # -- answers ----------------------------------------------------------------------------------------------------

    def is_answered(self, fact_id: str) -> bool:
        """Whether the fact has its answer."""
        return fact_id in self._answers

    def answer(self, fact_id: str) -> Answer:
        """The answer of a fact: drawn from the fair value when first asked for, the same ever after."""
        known = self._answers.get(fact_id)
        if known is None:
            known = self._answers[fact_id] = self._draw(fact_id)
        return known

    def _draw(self, fact_id: str) -> Answer:
        short = self._short.get(fact_id)
        if short is not None:
            is_void = self._rng.random() < self._parameters.short_void_probability
            return VOID if is_void else round(self._spots[short[0].code], 2)
        fact = self._facts[fact_id]
        if self._rng.random() < fact.void_probability:
            return VOID
        if fact.kind == "categorical":
            chances = self._chances[fact_id]
            return self._rng.choices(list(chances), list(chances.values()))[0]
        if fact.kind == "binary":
            return self._rng.random() < self.probability(Condition(fact_id, True), 0)
        own = self._moved[fact_id][0] * math.sqrt(1.0 - fact.coupling**2) + self._pull(fact)
        return self._rng.gauss(fact.mean + own * _LOGIT_TO_SD * fact.sd, fact.sd)

    def settlement(self, condition: Condition, fair_e4: int) -> Settlement:
        """What a market with this condition pays, given the answer of its fact (drawn if need be)."""
        answer = self.answer(condition.fact_id)
        if answer == VOID and not isinstance(answer, bool):
            if condition.on_void == "no":
                return Settlement(0, "no")
            return Settlement(5_000 if condition.on_void == "half" else fair_e4, "scalar")
        fact = self._facts.get(condition.fact_id) or Fact(condition.fact_id, "scalar", step="0.01")
        return Settlement(10_000, "yes") if is_met(fact, condition, answer) else Settlement(0, "no")

    # -- keeping ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> dict[str, Any]:
        """The state as JSON values; short facts are restored by whoever lists them again."""
        return {
            "moved": self._moved, "spots": self._spots, "answers": self._answers, "slice": self._slice,
            "chances": self._chances,
        }  # fmt: skip

    def restore(self, state: dict[str, Any]) -> None:
        """Take back what `snapshot` gave."""
        self._moved = {name: list(values) for name, values in state["moved"].items()}
        self._chances = {name: dict(values) for name, values in state["chances"].items()}
        self._spots = dict(state["spots"])
        self._answers = dict(state["answers"])
        self._slice = state["slice"]


def _width(fact: Fact) -> int:
    return len(fact.options) if fact.kind == "categorical" else 1
