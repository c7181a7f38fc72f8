"""`crossbook alerts`: what is wrong, who has seen it, and whether the channels work."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from app.cli.operator_actions import refusals_as_exit_codes
from app.cli.output import ExitCode, JsonOption, emit_document, emit_lines, fail, warn
from app.cli.warehouse import open_warehouse, warehouse_dsn
from streams.documents import plain_whole

if TYPE_CHECKING:
    from app.queries.alerts import InboxAlert
    from streams.alerting.channels import Channel
    from streams.alerting.messages import Message
    from streams.alerting.sending import Outcome
    from streams.settings import Settings

NumberArgument = Annotated[int, typer.Argument(parser=plain_whole, help="Number of the alert (`alerts list`).")]
AllOption = Annotated[bool, typer.Option("--all", help="Also those that are over.")]
LimitOption = Annotated[int, typer.Option("--limit", min=1, max=10_000, help="Most alerts that are listed.")]
ChannelOption = Annotated[
    int | None, typer.Option("--channel", parser=plain_whole, help="Only the channel of this place, from 1.")
]


def register(cli: typer.Typer) -> None:
    """Add `alerts list`, `acknowledge` and `test`."""
    group = typer.Typer(help="List alerts, acknowledge one, test the channels.", no_args_is_help=True)
    group.command("list")(list_all)
    group.command("acknowledge")(acknowledge)
    group.command("test")(try_all)
    cli.add_typer(group, name="alerts")


def list_all(every: AllOption = False, limit: LimitOption = 200, as_json: JsonOption = False) -> None:
    """List open alerts with what became of each by every channel; those nobody has acknowledged first."""
    from app.queries.alerts import load_banner, load_inbox
    from streams.settings import load_settings

    with open_warehouse(load_settings()) as connection:
        alerts, banner = load_inbox(connection, open_only=not every, limit=limit), load_banner(connection)
    emit_lines((_document(alert) for alert in alerts), as_json=as_json)
    for sentence in banner.sentences:
        warn(sentence)


def acknowledge(alert_id: NumberArgument, as_json: JsonOption = False) -> None:
    """Say that you have seen an alert: it stands no more above the pages, and is open until its cause is over."""
    from app.alert_actions import acknowledge_alert
    from app.doors.shell import shell_name
    from streams.settings import load_settings

    with refusals_as_exit_codes(), open_warehouse(load_settings()) as connection:
        alert = acknowledge_alert(connection, alert_id, who=shell_name())
    emit_document(_document(alert), as_json=as_json)


def try_all(channel: ChannelOption = None, as_json: JsonOption = False) -> None:
    """Send a test message through each channel, whatever severity it takes, and print what became of it.

    Exits with 1 where one fails or there is none. The receipts stand in the inbox where the warehouse answers.
    """
    from app.doors.shell import shell_name
    from streams.alerting.channels import channels_of
    from streams.alerting.courier import try_channels
    from streams.settings import load_settings

    settings = load_settings()
    channels = channels_of(settings)
    if not channels:
        fail("No channel is set: set CROSSBOOK_ALERT_CHANNELS, see docs/how-to/alerts.md.")
    chosen = [one for one in channels if channel in (None, one.place)]
    if not chosen:
        fail(f"There is no channel {channel}; there are {len(channels)}.", ExitCode.USAGE)
    message = _test_message(shell_name())
    tried = try_channels(chosen, message, settings.venues)
    _keep(settings, message.text, tried)
    emit_lines(
        (
            {
                "channel": one.place,
                "kind": one.kind,
                "takes_from": one.least,
                "outcome": "sent" if outcome.is_sent else "failed",
                "error": outcome.error,
                "took_ms": outcome.took_ms,
            }
            for one, outcome in tried
        ),
        as_json=as_json,
    )
    if not all(outcome.is_sent for _, outcome in tried):
        raise typer.Exit(int(ExitCode.ERROR))


def _test_message(who: str) -> Message:
    from datetime import UTC, datetime

    from streams.alerting.messages import DueAlert, message_of

    text = f"This is a test, asked for by {who}: nothing is wrong."
    return message_of([DueAlert(0, datetime.now(UTC), "test", "notice", "test", text)])


def _keep(settings: Settings, text: str, tried: list[tuple[Channel, Outcome]]) -> None:
    """Write the receipts into the table where the warehouse answers; a test needs no warehouse."""
    from contextlib import suppress
    from datetime import UTC, datetime
    from uuid import uuid4

    import psycopg

    from streams.storage.access.logins import Login
    from streams.storage.database import connect
    from streams.storage.store.alerting.alarms import Alarm, AlarmReceipt, save_alarm

    now = datetime.now(UTC)
    is_sent = all(outcome.is_sent for _, outcome in tried)
    receipts = [AlarmReceipt(one.place, one.kind, now, outcome.took_ms, outcome.error) for one, outcome in tried]
    alarm = Alarm(
        alarm_id=str(uuid4()),
        key="test",
        kind="test",
        severity="notice",
        message=text,
        raised_at=now,
        over_at=now,
        state="sent" if is_sent else "failed",
        sent_at=now if is_sent else None,
        receipts=receipts,
        attempts=len(receipts),
    )
    with suppress(psycopg.Error, typer.Exit), connect(warehouse_dsn(settings, Login.INTERFACE)) as connection:
        save_alarm(connection, alarm)


def _document(alert: InboxAlert) -> dict[str, Any]:
    return {
        "alert_id": alert.alert_id,
        "raised_at": alert.raised_at,
        "severity": alert.severity,
        "kind": alert.kind,
        "message": alert.message,
        "remedy": alert.remedy,
        "delivery": alert.delivery,
        "channels": [
            {
                "channel": receipt.place,
                "kind": receipt.channel,
                "at": receipt.at,
                "outcome": receipt.outcome,
                "error": receipt.error,
            }
            for receipt in alert.receipts
        ],
        "acknowledged_by": alert.acknowledged_by,
        "acknowledged_at": alert.acknowledged_at,
        "over_at": alert.cleared_at,
    }
