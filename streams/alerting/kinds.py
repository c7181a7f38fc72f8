"""The one table of what can alarm: how grave it is, what it means, the way out, and how it is over. PURE."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Severity = Literal["notice", "warning", "critical"]
SEVERITIES: tuple[Severity, ...] = ("notice", "warning", "critical")


@dataclass(frozen=True, slots=True)
class AlertKind:
    """One kind of alert.

    Attributes:
        name: Stands in `trading.alerts.kind`.
        severity: The gravest it is raised with.
        meaning: What is wrong, in one sentence.
        remedy: What to do: it names a command, a page of the documentation or of the interface.
        clears: When it is over by itself.
    """

    name: str
    severity: Severity
    meaning: str
    remedy: str
    clears: str


_TRADING = (
    AlertKind("escalated", "critical", "An execution ended with exposure, or cannot be worked on.",
              "See docs/runbooks/escalated-trade.md; `crossbook trade flatten` sells what it holds.",
              "The execution is hedged, flat or paid out."),
    AlertKind("exposed", "critical", "A hedge was exposed for so long that its first budget is used up.",
              "See docs/runbooks/escalated-trade.md; it is mended on, and escalated at the second budget.",
              "The execution is hedged, flat or paid out."),
    AlertKind("late_fill", "critical", "An order of a trade that had ended has filled, failed or was corrected.",
              "See docs/runbooks/escalated-trade.md; the settlement cycle mends it, unless the trade is escalated.",
              "The execution is hedged or flat again, or paid out."),
    AlertKind("resolved_order", "critical", "The venue shows another fate of an order than a person said.",
              "See docs/runbooks/escalated-trade.md; the account opens again with `crossbook trade reopen`.",
              "The execution holds nothing any more."),
    AlertKind("over_fill", "critical", "An order has filled for more than was ordered.",
              "See docs/runbooks/escalated-trade.md: compare the order with the venue's page; all of it is booked.",
              "The execution holds nothing any more."),
    AlertKind("flatten", "warning", "A trade that was to be flattened is not flat.",
              "Ask again with `crossbook trade flatten`, or see docs/runbooks/escalated-trade.md.",
              "A later flatten ends flat, or it is paid out."),
    AlertKind("no_armed_run", "critical", "No trading run is armed: each signal waits for a run of its own.",
              "See docs/runbooks/no-armed-run.md: the runs of hedged_trade in Dagster, and the sensor spread_sensor.",
              "A run is armed."),
    AlertKind("kill", "critical", "Trading is killed: nothing leaves.",
              "When the reason is over, `crossbook trade resume`; see docs/how-to/stop-trading.md.",
              "The switch is another one."),
    AlertKind("resting", "critical", "Trading is killed and orders still rest at a venue.",
              "They are cancelled again until none is left; see docs/how-to/stop-trading.md.",
              "None rests, or the switch is another one."),
    AlertKind("unsettled", "warning", "A market that is held has no final value long after its time.",
              "See docs/runbooks/unsettled-market.md.", "The market has its value."),
    AlertKind("restated", "warning", "A market that has paid is stated with another result than the one it paid by.",
              "See docs/runbooks/unsettled-market.md; nothing is to be done while the venue has not paid by it.",
              "It has paid by the stated result."),
    AlertKind("unredeemed", "warning", "A market is resolved and what it owes us was not redeemed within an hour.",
              "See docs/runbooks/unsettled-market.md: who redeems, and how a person does.", "It has paid."),
    AlertKind("account_break", "critical", "An account does not agree with our books; it only reduces now.",
              "See docs/runbooks/reconciliation.md; `crossbook trade reopen VENUE --reason` lets it open again.",
              "A person has let the account open again."),
    AlertKind("unexplained", "warning", "An account differs from our books for long, within what is open there.",
              "See docs/runbooks/reconciliation.md: what is provisional, unknown or in transit, and for how long.",
              "The account agrees with our books."),
    AlertKind("foreign", "critical", "Others than Crossbook have traded on an account; it only reduces now.",
              "See docs/runbooks/reconciliation.md; `crossbook trade reopen VENUE --reason` acknowledges it.",
              "A person has let the account open again."),
    AlertKind("order_group", "critical", "The order group at Kalshi has tripped; the account only reduces now.",
              "See docs/runbooks/order-group.md; `crossbook trade reopen kalshi --reason` has it reset.",
              "A person has let the account open again and the venue has reset the group."),
    AlertKind("suspense", "warning", "A venue charges or pays what our own arithmetic does not explain.",
              "See docs/runbooks/reconciliation.md: which entries stand on suspense, and what to compare them with.",
              "Nothing stands on suspense of the account."),
    AlertKind("breaker", "critical", "A circuit breaker has tripped: an account, or all trading, only reduces now.",
              "`crossbook waiting` names it and the act that lets it go on, with a reason; see docs/gate.md.",
              "A person has let trading go on."),
    AlertKind("ledger", "critical", "A venue's cash is not what our ledger says.",
              "See docs/runbooks/reconciliation.md; the pair of numbers is in `crossbook doctor`.",
              "Two readings of the account agree with the ledger."),
)  # fmt: skip

_DATA = (
    AlertKind("stale_recorder", "critical", "A recorder gives no sign of life.",
              "See docs/runbooks/recorder.md.", "It does again."),
    AlertKind("session_failed", "critical", "A connection of the recorder keeps failing.",
              "See docs/runbooks/recorder.md.", "A connection has lasted."),
    AlertKind("silent_venue", "critical", "A venue sends nothing although its markets are recorded.",
              "See docs/runbooks/recorder.md; whether the venue answers is in `crossbook doctor`.",
              "Something of it was received."),
    AlertKind("discovery_behind", "warning", "A venue's markets have not been discovered for much longer than asked.",
              "Look at the last runs of the asset in Dagster; whether the venue answers is in `crossbook doctor`.",
              "A sweep of the venue has ended well."),
    AlertKind("dead_letters", "warning", "Too large a share of a venue's input cannot be used.",
              "The dashboard's page Health lists them by reason; see docs/runbooks/recorder.md.",
              "The share is below the limit again."),
    AlertKind("far_day", "warning", "Rows of a far day are recorded.",
              "Look at the clocks of this host and of the database's; see docs/runbooks/recorder.md.",
              "No partition of a far day is left."),
    AlertKind("data_test", "warning", "A data test does not pass.",
              "The dashboard's page Health names the marts it concerns; see docs/warehouse.md.", "It passes."),
    AlertKind("check_failed", "warning", "A check of an asset does not pass.",
              "Look at the asset's checks in Dagster; see docs/how-to/alerts.md.", "It passes, or is gone."),
    AlertKind("stale_asset", "warning", "An asset has not been made for longer than its freshness allows.",
              "Start it in Dagster, and look at its last runs there; see docs/how-to/alerts.md.",
              "It was made again."),
    AlertKind("stale_mart", "warning", "A mart has not been built for longer than its freshness allows.",
              "Look at the last runs of its build in Dagster; see docs/warehouse.md.",
              "It was built again."),
)  # fmt: skip

_MACHINE = (
    AlertKind("run_failed", "warning", "A run failed after its last retry, or its process is gone.",
              "Open the run in Dagster (Runs) and start it anew there; see docs/how-to/alerts.md.",
              "A later run of the same work succeeds, or a day has passed."),
    AlertKind("sensor_stopped", "warning", "A sensor or schedule that must run is stopped.",
              "Start it in Dagster (Automation); see docs/how-to/alerts.md.", "It runs."),
    AlertKind("sensor_failed", "warning", "A sensor or schedule fails each time it is evaluated.",
              "Its error is in Dagster (Automation); see docs/how-to/alerts.md.", "It was evaluated well."),
    AlertKind("watch_silent", "critical", "Nobody looks for alerts, or nobody sends them.",
              "Start the sensors alert_watcher and alert_sender in Dagster (Automation); see docs/how-to/alerts.md.",
              "They have looked again."),
    AlertKind("child", "warning", "A process of ours keeps ending.",
              "Its log is in the home's folder logs; see docs/runbooks/start-and-stop.md.", "It stays."),
    AlertKind("first_pass", "warning", "The first pass of a start was given up.",
              "Start the job first_pass in Dagster (Jobs); see docs/runbooks/start-and-stop.md.",
              "A first pass is done."),
    AlertKind("database", "critical", "The database does not answer.",
              "`crossbook doctor` says why; see docs/runbooks/start-and-stop.md.", "It answers."),
    AlertKind("disk", "critical", "The disk fills up.",
              "Free some space: `crossbook doctor` names the folders; see docs/runbooks/recorder.md.",
              "There is room again."),
    AlertKind("disk_full", "critical", "A recorder cannot write.",
              "Free some space; see docs/runbooks/recorder.md.", "It writes again."),
    AlertKind("reader_ended", "warning", "A reader's session kept others waiting and was ended.",
              "See docs/how-to/readers.md.", "None was ended for a minute."),
    AlertKind("undelivered", "warning", "Alerts could not be sent by any channel.",
              "`crossbook alerts test` tries each; see docs/how-to/alerts.md.", "They are sent."),
    AlertKind("dead_man", "warning", "The ping outward does not arrive.",
              "Look at CROSSBOOK_DEAD_MAN_URL and the service behind it; see docs/how-to/alerts.md.",
              "It arrives again."),
    AlertKind("test", "notice", "Somebody tests the channels.", "Nothing: `crossbook alerts test` sent it.",
              "At once."),
)  # fmt: skip

KINDS: Mapping[str, AlertKind] = {kind.name: kind for kind in (*_TRADING, *_DATA, *_MACHINE)}

_UNKNOWN = "See docs/how-to/alerts.md."


def remedy_of(kind: str) -> str:
    """Return the way out of an alert; of a kind that is not in the table, the page about alerts."""
    known = KINDS.get(kind)
    return _UNKNOWN if known is None else known.remedy
