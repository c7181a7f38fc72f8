"""What is decided on market groups of any kind, bound to the texts and dates of all their markets and the environment.

A pair is decided on as the group "pair:" and its id. Automatic approvals are signed `sandbox`; what people decide comes
from `app.operator_actions`.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg.types.json import Jsonb

from streams.market.trading import PairState
from streams.storage.database import Connection, fetch_all, fetch_one

GroupDecision = Literal["approve", "reject", "pause"]

_STATES = """SELECT group_id, kind, title, state, market_hashes, terms, environment, is_tradable, reason, decision_id,
    decided_by, decided_at, decision_reason FROM trading.group_states"""
_APPROVE = """
INSERT INTO trading.group_decisions (group_id, kind, decision, decided_by, reason, market_hashes, terms, environment,
    decided_at)
SELECT group_id, kind, 'approve', 'sandbox',
    CASE kind WHEN 'ladder' THEN 'its steps were read and agree' ELSE 'its venue lets one at most resolve yes' END,
    market_hashes, terms, environment,
    %(at)s
FROM trading.group_states
WHERE kind <> 'pair' AND is_tradable AND environment = 'sandbox'
    AND (state = 'proposed' OR (state = 'lapsed' AND decided_by = 'sandbox'))
"""


def pair_group_id(pair_id: str) -> str:
    """Return the id under which decisions on a pair are kept."""
    return f"pair:{pair_id}"


@dataclass(frozen=True, slots=True)
class GroupStateRow:
    """A row of `trading.group_states`: a market group with the state its last decision leaves it in.

    Attributes:
        market_hashes: Of the texts and dates of its markets as they are now, by "venue:market_id"; a market that is
            not listed has no text.
        terms: What it says of its markets: relation and polarity of a pair, the allowed outcomes of other groups.
        is_tradable: Whether it may be traded at all, once it is approved; `reason` says why not.
    """

    group_id: str
    kind: str
    title: str
    state: PairState
    market_hashes: dict[str, Any]
    terms: Any
    environment: str
    is_tradable: bool
    reason: str
    decision_id: int | None
    decided_by: str | None
    decided_at: datetime | None
    decision_reason: str | None

    @property
    def text_hashes(self) -> dict[str, str | None]:
        """The hash of the texts of each market by "venue:market_id"; None where a market is not listed."""
        return {market: facts["text"] for market, facts in self.market_hashes.items()}

    @property
    def seen(self) -> str:
        """A short text that stays the same while nothing a decision depends on has changed."""
        facts = [self.group_id, self.state, self.terms, self.market_hashes, self.environment, self.decision_id]
        return hashlib.sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()[:16]

    @property
    def words(self) -> str:
        """What it is now, in one clause."""
        by = f" by {self.decided_by}" if self.decided_by else ""
        said = f", {self.terms['relation']}, {self.terms['polarity']}" if self.kind == "pair" else ""
        return f"{self.kind} {self.group_id.removeprefix('pair:')} is {self.state}{by}{said}"

    def is_decided(self, decision: GroupDecision, who: str) -> bool:
        """Whether this decision of this person is the last one and still stands on the texts."""
        states = {"approve": "approved", "reject": "rejected", "pause": "paused"}
        return (self.state, self.decided_by) == (states[decision], who)


@dataclass(frozen=True, slots=True)
class NewDecision:
    """What a person decides on a group at a moment.

    `seen_hashes`: of the texts that were read, by "venue:market_id"; None: as they are.
    """

    group_id: str
    decision: GroupDecision
    decided_by: str
    reason: str
    at: datetime
    seen_hashes: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class DecisionRow:
    """A row of `trading.group_decisions`, made by a person or by the sandbox's rule."""

    decision: str
    decided_by: str
    reason: str
    environment: str
    decided_at: datetime


def find_group_state(connection: Connection, group_id: str) -> GroupStateRow | None:
    """Return a group as a decision is made on it; None where there is none of that id, or it has ended."""
    return fetch_one(connection, GroupStateRow, f"{_STATES} WHERE group_id = %s", (group_id,))


def list_group_states(
    connection: Connection, *, kind: str | None = None, state: str | None = None, market_id: str | None = None
) -> list[GroupStateRow]:
    """Return groups in the order of their id: of one kind, in one state, or with one market."""
    return fetch_all(
        connection,
        GroupStateRow,
        f"""{_STATES} WHERE (%(kind)s::text IS NULL OR kind = %(kind)s)
            AND (%(state)s::text IS NULL OR state = %(state)s)
            AND (%(id)s::text IS NULL OR market_hashes ?| ARRAY['kalshi:' || %(id)s, 'polymarket:' || %(id)s])
            ORDER BY group_id""",
        {"kind": kind, "state": state, "id": market_id},
    )


def write_decision(connection: Connection, new: NewDecision) -> int | None:
    """Write a decision and return its id; None when there is no such group, or its texts are others by now."""
    row = connection.execute(
        """
        INSERT INTO trading.group_decisions (group_id, kind, decision, decided_by, reason, market_hashes, terms,
            environment, decided_at)
        SELECT group_id, kind, %(decision)s, %(who)s, %(reason)s, market_hashes, terms,
            (SELECT environment FROM trading.environment_stamp), %(at)s
        FROM trading.group_states
        WHERE group_id = %(group_id)s AND (%(seen)s::jsonb IS NULL OR %(seen)s::jsonb = (
            SELECT jsonb_object_agg(h.key, h.value -> 'text') FROM jsonb_each(market_hashes) AS h))
        RETURNING decision_id
        """,
        {
            "group_id": new.group_id,
            "decision": new.decision,
            "who": new.decided_by,
            "reason": new.reason,
            "at": new.at,
            "seen": None if new.seen_hashes is None else Jsonb(dict(new.seen_hashes)),
        },
    ).fetchone()
    return None if row is None else int(row["decision_id"])


def list_decisions(connection: Connection, group_id: str, limit: int = 50) -> list[DecisionRow]:
    """Return the last decisions on a group, newest first."""
    return fetch_all(
        connection,
        DecisionRow,
        """SELECT decision, decided_by, reason, environment, decided_at FROM trading.group_decisions
           WHERE group_id = %s ORDER BY decision_id DESC LIMIT %s""",
        (group_id, limit),
    )


def approve_groups_in_sandbox(connection: Connection, at: datetime) -> int:
    """Approve the sandbox's undecided groups of more markets than a pair's that may be traded; returns how many.

    A group a person has decided on is never touched.
    """
    return max(connection.execute(_APPROVE, {"at": at}).rowcount, 0)
