"""What is known of an installation when it is examined. A part that could not be looked at in time is None."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.queries.health import MartRow, ViewRow
from app.supervisor.last_start import LastStart
from streams.settings import Settings
from streams.storage.recording_status import DeadLetters, Gaps
from streams.storage.store.alerts import FailedTest
from streams.storage.store.warehouse import TradingPulse


@dataclass(frozen=True, slots=True)
class FileFacts:
    """The home and the files beside it. A text says what is wrong, empty where nothing is.

    Attributes:
        platform / home / binaries: What the checks before a start say.
        home_rights: Who else may write in the home.
        free_mb / free_inodes: Free on the home's disk; infinitely many inodes where it makes them as needed.
        token: Why the token file cannot be used, apart from its mode.
        open_token: The token can be read by others.
        open_files: Other secret files of the home that can be read by others.
        env_file: The `.env` that holds secrets and can be read by others.
        keystore: Why the keystore or an entry of it cannot be opened.
        key_names: Entries of the keystore.
        short_passphrase: The keystore's passphrase is one that nothing new would be sealed with.
        late_segments: Closed segment files that are kept much longer than the retention says.
        kill_on_disk: A kill lies on disk that is not recorded yet.
        accounts: Why the accounts cannot be used.
        people: Why nobody may trade live, where orders go to live venues.
        restore: That a restore into this home was broken off.
    """

    platform: str
    home: str
    home_rights: str
    free_mb: int
    binaries: str
    token: str
    open_token: bool
    open_files: tuple[str, ...]
    env_file: str
    keystore: str
    key_names: tuple[str, ...]
    short_passphrase: bool
    late_segments: int
    last_start: LastStart | None
    kill_on_disk: bool
    free_inodes: float = float("inf")
    accounts: str = ""
    people: str = ""
    restore: str = ""


@dataclass(frozen=True, slots=True)
class SoftwareFacts:
    """Python and the packages. `drift`: those that differ from requirements.lock, as "name 1.0, locked 1.1"."""

    python: str
    drift: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """The processes of a running home, and what holds their ports.

    Attributes:
        alive: Names of the processes that live, of `app.diagnosis.processes.PROCESSES` and "postgres".
        ports: What is wrong with the ports this home wants; empty where nothing is.
        is_abandoned: A supervisor left its state behind and is gone.
    """

    alive: frozenset[str]
    ports: str
    is_abandoned: bool


@dataclass(frozen=True, slots=True)
class DagsterFacts:
    """What Dagster's own tables say; an age is None where there is nothing.

    Attributes:
        heartbeat_age_s: Since the daemon's last heartbeat.
        stopped: Sensors and schedules that somebody stopped.
        event_log_mb: Size of the event log.
    """

    heartbeat_age_s: float | None
    stopped: tuple[str, ...]
    event_log_mb: int


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What the database says.

    Attributes:
        problem: Why it does not answer, empty where it does; never with a password.
        is_malformed: The address is not one.
        skew_s: The database's clock less ours.
        free_connections: How many the server has for us; those that we have open count as free.
        is_superuser: The login may do everything.
        grown_mb_per_day: By the newest whole day of recorded books.
        has_schema: Our tables are there.
    """

    problem: str
    is_malformed: bool = False
    skew_s: float = 0.0
    free_connections: int = 1000
    is_superuser: bool = False
    grown_mb_per_day: int = 0
    has_schema: bool = True


@dataclass(frozen=True, slots=True)
class WarehouseFacts:
    """What the warehouse holds. `quote_age_s`, `sweep_age_s`: of the newest quote and discovery that went well."""

    marts: tuple[MartRow, ...]
    views: tuple[ViewRow, ...]
    failed_tests: tuple[FailedTest, ...]
    gaps: Gaps
    dead_letters: DeadLetters
    stale_books: int
    quote_age_s: float | None
    sweep_age_s: float | None
    failed_sweeps: tuple[str, ...]
    ledger_differences_e6: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class OutsideFacts:
    """Who we depend on outside; a text says what is wrong, empty where nothing is or nothing was asked.

    `skews_s`: a venue's clock less ours, by venue; whole seconds, as HTTP tells the time.
    """

    webhook: str = ""
    judge: str = ""
    channels: str = ""
    venues: Mapping[str, str] = field(default_factory=dict)
    skews_s: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything that is known."""

    settings: Settings
    bad_settings: tuple[str, ...] = ()
    supervisor_pid: int | None = None
    files: FileFacts | None = None
    software: SoftwareFacts | None = None
    processes: ProcessFacts | None = None
    database: DatabaseFacts | None = None
    dagster: DagsterFacts | None = None
    trading: TradingPulse | None = None
    warehouse: WarehouseFacts | None = None
    outside: OutsideFacts | None = None
    not_looked_at: tuple[str, ...] = ()
    """What did not answer in time."""
    failed_looks: tuple[str, ...] = ()
    """What could not be looked at, each with the class of the error."""
    is_served: bool = False
    """An interface of a running system asks, so that the rest of it should live too."""

    @property
    def is_running(self) -> bool:
        """Whether a supervisor runs in this home."""
        return self.supervisor_pid is not None

    @property
    def expects_life(self) -> bool:
        """Whether recorders, sensors and the builds of the marts should be at work."""
        return self.is_running or self.is_served
