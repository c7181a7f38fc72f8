"""Causes that lie in the machine, the home, the settings and the processes."""

from __future__ import annotations

from collections.abc import Callable

from app.diagnosis.cause import Cause
from app.diagnosis.facts import Facts, FileFacts, OutsideFacts
from app.diagnosis.processes import wanted_processes
from streams.disk import INODE_MARKS
from streams.venues.credentials.keystore import shares_kalshi_key

_DAYS_LEFT = 3


def _of_files(look: Callable[[FileFacts], str]) -> Callable[[Facts], str]:
    return lambda facts: "" if facts.files is None else look(facts.files)


def _settings(facts: Facts) -> str:
    return " ".join(facts.bad_settings)


def _python(facts: Facts) -> str:
    version = "" if facts.software is None else facts.software.python
    return f"Python {version} is not supported" if version else ""


def _drift(facts: Facts) -> str:
    drift = () if facts.software is None else facts.software.drift
    more = f" and {len(drift) - 5} more" if len(drift) > 5 else ""
    return ", ".join(drift[:5]) + more


def _disk(facts: Facts) -> str:
    if facts.files is None:
        return ""
    if facts.files.free_inodes < INODE_MARKS.low:
        return f"{facts.files.free_inodes:.0f} inodes are free, {INODE_MARKS.low} are needed: each new file takes one"
    if facts.files.free_mb >= facts.settings.min_free_disk_mb:
        return ""
    return f"{facts.files.free_mb} MB are free, {facts.settings.min_free_disk_mb} MB are needed"


def _disk_growth(facts: Facts) -> str:
    if facts.files is None or facts.database is None or not facts.database.grown_mb_per_day:
        return ""
    days = facts.files.free_mb / facts.database.grown_mb_per_day
    if days >= _DAYS_LEFT:
        return ""
    return f"{facts.database.grown_mb_per_day} MB were recorded in a day; the disk is full in {days:.1f} days"


def _missing_keys(facts: Facts) -> str:
    settings = facts.settings
    if facts.files is None or facts.files.keystore or settings.venues == "sandbox" or settings.trading_mode != "live":
        return ""
    wanted = [f"kalshi-{settings.venues}"] + ([f"polymarket-{settings.venues}"] if settings.venues == "live" else [])
    missing = [name for name in wanted if name not in facts.files.key_names]
    return f"live trading without {' and '.join(missing)}" if missing else ""


def _unsigned_books(facts: Facts) -> str:
    settings = facts.settings
    if facts.files is None or settings.venues == "sandbox" or settings.trading_mode == "live":
        return ""
    has_key = any(name.startswith("kalshi") and settings.venues in name for name in facts.files.key_names)
    return "" if has_key else "Kalshi's books are asked for over REST: its sockets refuse whoever has no key"


def _one_kalshi_key(facts: Facts) -> str:
    venues = facts.settings.venues
    names = () if facts.files is None else facts.files.key_names
    if venues == "sandbox" or not shares_kalshi_key(names, venues):
        return ""
    return f"there is no kalshi-read-{venues}: the recorder signs in with the key that trades"


def _last_start(files: FileFacts) -> str:
    start = files.last_start
    return f"the start of {start.at} failed: {start.reason}" if start is not None and start.reason else ""


def _last_start_of(facts: Facts) -> str:
    return "" if facts.is_running or facts.files is None else _last_start(facts.files)


def _abandoned(facts: Facts) -> str:
    is_abandoned = facts.processes is not None and facts.processes.is_abandoned
    return "the supervisor was killed; it left its state behind" if is_abandoned else ""


def _process(name: str) -> Cause:
    def look(facts: Facts) -> str:
        if not facts.is_running or facts.processes is None or name not in wanted_processes(facts.settings):
            return ""
        return "" if name in facts.processes.alive else f"the process {name} does not live"

    log = f"logs/{name.replace(' ', '-')}.log" if name != "postgres" else "postgres/postgres.log"
    return Cause(
        name,
        f"The process {name} is dead.",
        f"Look at {log} in CROSSBOOK_HOME; if it is not started again, stop with `crossbook down` and start anew.",
        look,
    )


def _daemon_hangs(facts: Facts) -> str:
    age = None if facts.dagster is None else facts.dagster.heartbeat_age_s
    if not facts.is_running or age is None or age < 120:
        return ""
    return f"no heartbeat for {age:.0f} s"


def _stopped(facts: Facts) -> str:
    return "" if facts.dagster is None else ", ".join(facts.dagster.stopped)


def _event_log(facts: Facts) -> str:
    size = 0 if facts.dagster is None else facts.dagster.event_log_mb
    return f"Dagster's event log takes {size} MB" if size > 2_000 else ""


def _not_looked_at(facts: Facts) -> str:
    return f"no answer in time about {', '.join(facts.not_looked_at)}" if facts.not_looked_at else ""


def _failed_looks(facts: Facts) -> str:
    return f"could not be looked at: {', '.join(facts.failed_looks)}" if facts.failed_looks else ""


def _of_outside(look: Callable[[OutsideFacts], str]) -> Callable[[Facts], str]:
    return lambda facts: "" if facts.outside is None else look(facts.outside)


def _venue_clock(outside: OutsideFacts) -> str:
    off = [f"{venue} is {skew:+.0f} s off" for venue, skew in outside.skews_s.items() if abs(skew) > 5]
    return ", ".join(off)


CAUSES: tuple[Cause, ...] = (
    Cause("settings", "A setting cannot be used.", "Mend it where it is set; `docs/reference/settings.md` has all.",
          _settings),
    Cause("system", "Not a Linux with glibc 2.28 or newer.", "Use a Linux with glibc 2.28 or newer.",
          _of_files(lambda files: files.platform)),
    Cause("python", "A Python that is not supported.", "Use CPython 3.11 to 3.13: `make clean`, then `make up`.",
          _python),
    Cause("packages", "Packages differ from requirements.lock.", "Run `make clean`, then `make up`.", _drift),
    Cause("home", "CROSSBOOK_HOME cannot be written.", "Give the folder to the user who starts, or set another one.",
          _of_files(lambda files: files.home)),
    Cause("home rights", "Others may write in CROSSBOOK_HOME.", "Run `chmod go-w` on it, and `chown` if needed.",
          _of_files(lambda files: files.home_rights)),
    Cause("disk space", "Less disk is free than a start needs.", "Free space, or move CROSSBOOK_HOME.",
          _disk),
    Cause("disk growth", "What a day records fills the disk soon.",
          "Free space, or lower CROSSBOOK_RAW_RETENTION_DAYS and CROSSBOOK_RECORDED_MARKETS_MAX.", _disk_growth),
    Cause("segment retention", "Segment files are kept much longer than the retention says.",
          "Look into Dagster's runs of the job upkeep; it deletes them.",
          _of_files(lambda files: f"{files.late_segments} files are too old" if files.late_segments else "")),
    Cause("kill on disk", "A kill lies in the folder `kill` of CROSSBOOK_HOME and is not recorded yet.",
          "It is in force. It is recorded as soon as the database is there and the supervisor runs: `make up`.",
          _of_files(lambda files: "a kill is in force and not recorded yet" if files.kill_on_disk else "")),
    Cause("env file", "A `.env` with secrets can be read by others.", "Run `chmod 600 .env`.",
          _of_files(lambda files: f"{files.env_file} holds secrets and can be read by others" if files.env_file
                    else "")),
    Cause("token rights", "The API's token can be read by others.",
          "Delete the file api_token in CROSSBOOK_HOME and start again for a new one.",
          _of_files(lambda files: "api_token can be read by others" if files.open_token else "")),
    Cause("token", "The API's token is unusable.", "Delete the file api_token and start again for a new one.",
          _of_files(lambda files: files.token)),
    Cause("secret files", "A secret file of the home can be read by others.", "Run `chmod 600` on it.",
          _of_files(lambda files: f"others can read {', '.join(files.open_files)}" if files.open_files else "")),
    Cause("keystore", "The keystore, or a key in it, cannot be opened.",
          "Restore keystore.json and keystore.key from a backup, or set the right CROSSBOOK_KEYSTORE_PASSPHRASE.",
          _of_files(lambda files: files.keystore)),
    Cause("accounts", "The accounts cannot be used: nobody can sign in.",
          "Give it back to its user, or put the people.sqlite of a backup in its place; or move it away and begin anew "
          "with `crossbook login`.", _of_files(lambda files: files.accounts)),
    Cause("people", "Orders go to live venues, and nobody who may trade could prove who they are.",
          "Give a trader or owner a password with `crossbook users password NAME`, or an account at the provider with "
          "`crossbook users oidc NAME`; `crossbook trade pause` until then.", _of_files(lambda files: files.people)),
    Cause("passphrase", "The keystore's passphrase is short.", "Give it a longer one with `crossbook keys passphrase`.",
          _of_files(lambda files: "it is shorter than 12 characters" if files.short_passphrase else ""),
          is_notice=True),
    Cause("keys", "Live trading without keys.", "Store them with `crossbook keys set`, or set CROSSBOOK_TRADING=paper.",
          _missing_keys),
    Cause("book streams", "No Kalshi key: its books are polled.", "Store one with `crossbook keys set kalshi`.",
          _unsigned_books, is_notice=True),
    Cause("recorder's key", "Recorder and trading share one Kalshi key.",
          "Make a key of scope read at Kalshi and store it under a name of its own.", _one_kalshi_key, is_notice=True),
    Cause("postgresql binaries", "The embedded PostgreSQL is not installed.", "Run `make up` again, or set "
          "DATABASE_URL.", _of_files(lambda files: files.binaries)),
    Cause("restore", "A restore into this home was broken off.",
          "Run `crossbook restore` again, or `crossbook reset` to begin empty.",
          _of_files(lambda files: files.restore)),
    Cause("last start", "The last start failed.", "Mend what it names, then `make up`; logs: CROSSBOOK_HOME/logs.",
          _last_start_of),
    Cause("supervisor", "The supervisor was killed.",
          "Start again with `make up`, or end what was left over with `crossbook down`.", _abandoned),
    Cause("ports", "A port is taken by another program.", "Free the port, or set another one.",
          lambda facts: "" if facts.processes is None else facts.processes.ports),
    *(_process(name) for name in ("postgres", "sandbox", "runner", "code server", "webserver", "daemon", "dashboard",
                                  "api", "doors")),
    Cause("daemon heartbeat", "Dagster's daemon lives and does nothing.", "End it (its number is in `ps`): it is "
          "started again.", _daemon_hangs),
    Cause("sensors", "A sensor or schedule is stopped.", "Start it in the Dagster UI, under Automation.", _stopped),
    Cause("event log", "Dagster's event log has grown large.", "Delete old runs in the Dagster UI, under Runs.",
          _event_log),
    Cause("webhook", "Alerts cannot be posted to the webhook.", "Mend CROSSBOOK_ALERT_WEBHOOK_URL, or its server.",
          _of_outside(lambda outside: outside.webhook)),
    Cause("alert channels", "An address of CROSSBOOK_ALERT_CHANNELS is none.",
          "Mend it: docs/how-to/alerts.md names the services; `crossbook alerts test` tries each.",
          _of_outside(lambda outside: outside.channels)),
    Cause("judge address", "The language model's address does not answer, or refuses the key.",
          "Mend CROSSBOOK_OPENAI_BASE_URL or OPENAI_API_KEY; until then the rules judge alone.",
          _of_outside(lambda outside: outside.judge)),
    Cause("venues", "A venue does not answer.", "Look at the venue's status page and at this machine's network.",
          _of_outside(lambda outside: "; ".join(outside.venues.values()))),
    Cause("venue clock", "Our clock and a venue's differ.", "Set the clock by NTP: signed calls are refused otherwise.",
          _of_outside(_venue_clock)),
    Cause("looks", "Something could not be looked at.", "Run it again. If it stays and the error is of the database, a "
          "right or a table is missing: start anew with `make up`, or see `crossbook database sql`.", _failed_looks),
    Cause("looked at", "Something did not answer the doctor in time.", "Run it again; look at the load of the machine.",
          _not_looked_at, is_notice=True),
)  # fmt: skip
