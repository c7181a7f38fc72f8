"""Where the database of a home lies, written down in the home: the permissions of the moment decide it only once.

`cluster.json` beside the passwords names the data folder, relative where it lies in the home, so that it moves along,
and the cluster's system identifier. A folder outside names its home in turn, so that a copy of a home never takes the
data of the one it was copied from.
"""

from __future__ import annotations

import json
import os
import struct
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from streams.market.errors import ConfigurationError

_NAME = "cluster.json"
_BACK = "home.json"


@dataclass(frozen=True, slots=True)
class ClusterRecord:
    """What is written down of a cluster.

    Attributes:
        data_dir: Its data folder, absolute.
        system_identifier: PostgreSQL's own number of the cluster; 0 while it is being made.
    """

    data_dir: Path
    system_identifier: int

    @property
    def is_made(self) -> bool:
        """Whether the cluster was finished."""
        return self.system_identifier != 0


def read_record(home: Path) -> ClusterRecord | None:
    """Return what a database folder's record says; None where there is none.

    Raises:
        ConfigurationError: If it cannot be read.
    """
    path = home / _NAME
    try:
        document = json.loads(path.read_text())
        return ClusterRecord(home / str(document["data_dir"]), int(document["system_identifier"]))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ConfigurationError(f"{path} cannot be read ({type(error).__name__}); put a copy in its place.") from None


def write_record(home: Path, record: ClusterRecord) -> None:
    """Write it, whole or not at all; outside the home the folder's own note of its home too.

    Raises:
        ConfigurationError: If it cannot be written.
    """
    inside = record.data_dir.is_relative_to(home)
    written = record.data_dir.relative_to(home) if inside else record.data_dir
    document = {"data_dir": str(written), "system_identifier": record.system_identifier}
    try:
        _replace(home / _NAME, document)
        if not inside:
            _replace(record.data_dir.parent / _BACK, {"home": str(home.resolve())})
    except OSError as error:
        raise ConfigurationError(f"{home / _NAME} cannot be written: {error.strerror}.") from None


def forget_record(home: Path) -> None:
    """Remove the record, after the cluster was deleted on purpose."""
    (home / _NAME).unlink(missing_ok=True)


def other_home_of(data_dir: Path, home: Path) -> Path | None:
    """Return the home that a data folder outside belongs to, if that is another one than `home` and is still there."""
    if data_dir.is_relative_to(home):
        return None
    try:
        noted = Path(json.loads((data_dir.parent / _BACK).read_text())["home"])
        if noted.samefile(home):
            return None
        record = read_record(noted)
    except (OSError, ValueError, KeyError, TypeError, ConfigurationError):
        return None
    return noted if record is not None and record.data_dir == data_dir else None


def names_home(data_dir: Path, home: Path) -> bool:
    """Whether a data folder is of this home by its place: it lies in it, or its own note names it."""
    if data_dir.is_relative_to(home):
        return True
    try:
        return Path(json.loads((data_dir.parent / _BACK).read_text())["home"]).samefile(home)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def is_cluster(data_dir: Path) -> bool:
    """Whether a data folder holds a cluster."""
    return (data_dir / "PG_VERSION").exists()


def last_written(data_dir: Path) -> float:
    """Return when a cluster was last written: of two, the one that was used last is this home's."""
    control = data_dir / "global" / "pg_control"
    return control.stat().st_mtime if control.exists() else 0.0


def system_identifier(data_dir: Path) -> int:
    """Return PostgreSQL's number of the cluster: the first eight bytes of its control file; 0 where it has none."""
    try:
        with (data_dir / "global" / "pg_control").open("rb") as control:
            return int(struct.unpack("=Q", control.read(8))[0])
    except (OSError, struct.error):
        return 0


def _replace(path: Path, document: dict[str, object]) -> None:
    draft = path.with_name(f"{path.name}.draft")
    with suppress(FileNotFoundError):
        draft.unlink()
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(json.dumps(document))
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
