"""The banner on every page: which mode is in force, what the switch says, how old the data is, and what alarms."""

from __future__ import annotations

from app.dashboard import theme
from app.dashboard.data import settings
from app.queries.alerts import AlertBanner
from app.queries.health import DataAges
from streams.storage.kill_files import is_kill_on_disk
from streams.storage.store.risk import SwitchRow

_MODES = {
    ("sandbox", "live"): ("SANDBOX", "Orders go to the two local exchanges. No real money.", theme.ACCENT, "#F3F5FE"),
    ("demo", "live"): ("DEMO", "Orders go to Kalshi's demo exchange. No real money.", theme.ACCENT, "#F3F5FE"),
    ("live", "live"): ("LIVE", "Orders go to the real exchanges. Real money.", theme.BAD, "#FEF4F5"),
}
_SWITCHES = {
    "run": "Trading runs",
    "pause": "Paused: nothing new opens",
    "reduce": "Reduce: only orders that lower exposure",
    "kill": "KILLED: nothing leaves",
}


def banner(environment: str, switch: SwitchRow | None, ages: DataAges) -> str:
    """Return the banner as HTML."""
    current = settings()
    trading = current.trading_mode
    name, meaning, colour, soft = _MODES.get((environment, trading), _quiet_mode(environment, trading))
    state = "kill" if is_kill_on_disk(current.home_dir) else "unknown" if switch is None else switch.state
    limits = (current.recorder_stale_after_s, current.quote_stale_after_s, 3.0 * current.discovery_interval_s)
    shown = "".join(
        f"<span>{label} {_age(value, limit)}</span>"
        for label, value, limit in (
            ("recorder", ages.recorder_age_s, limits[0]),
            ("quotes", ages.quote_age_s, limits[1]),
            ("discovery", ages.discovery_age_s, limits[2]),
        )
    )
    return (
        f'<div class="cb-banner" style="--cb-mode:{colour};--cb-soft:{soft}"><span class="cb-mode">{theme.text(name)}'
        f"</span><span>{theme.text(meaning)}</span>{theme.chip(_SWITCHES.get(state, state), _tone(state))}"
        f'<span class="cb-ages">{shown}</span></div>'
    )


def alert_banner(alerts: AlertBanner) -> str:
    """Return what there is to say of alerts as HTML: that they alarm, or that nobody was told; often nothing."""
    if not alerts.sentences:
        return ""
    colour, soft = (theme.BAD, "#FEF4F5") if alerts.is_critical else (theme.WARN, "#FEF9EF")
    said = " ".join(theme.text(sentence) for sentence in alerts.sentences)
    return (
        f'<div class="cb-banner" style="--cb-mode:{colour};--cb-soft:{soft}"><span class="cb-mode">ALERTS</span>'
        f'<span>{said}</span><a href="/alerts" target="_self">See them</a></div>'
    )


def _quiet_mode(environment: str, trading: str) -> tuple[str, str, str, str]:
    books = {"sandbox": "local exchanges", "demo": "the demo exchange", "live": "the real exchanges"}
    where = books.get(environment, "an unknown place")
    if trading == "paper" and environment != "sandbox":
        said = f"Books of {where}, fills are simulated. What the judge proposes is traded with nobody's approval."
        return f"PAPER · {environment.upper()}", said, theme.WARN, "#FEF9EF"
    if trading == "paper":
        return f"PAPER · {environment.upper()}", f"Books of {where}, fills are simulated.", theme.WARN, "#FEF9EF"
    return f"RECORDING · {environment.upper()}", f"Books of {where}; trading is off.", theme.MUTED, "#F7F8FB"


def _tone(state: str) -> str:
    return {"run": "good", "pause": "warn", "reduce": "warn", "kill": "bad"}.get(state, "mute")


def _age(value: object, limit: float) -> str:
    seconds = None if value is None else float(str(value))
    is_stale = seconds is None or seconds > limit
    colour = theme.WARN if is_stale else theme.GOOD
    note = " (stale)" if is_stale and seconds is not None else ""
    return f'<b style="color:{colour}">{theme.age(seconds)}{note}</b>'
