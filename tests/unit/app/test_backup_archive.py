"""The file of a backup: what goes in comes out, and nothing that was cut, damaged or made by others is taken."""

from __future__ import annotations

import errno
import io
import json
import os
import tarfile
from collections.abc import Iterable
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.backup.archive import MANIFEST, WAREHOUSE, Manifest, read_archive, write_archive
from app.backup.backup import settings_to_keep
from streams.market.errors import ConfigurationError
from streams.settings import load_settings

ABOUT = Manifest("1.0", "sandbox", "2026-11-29T12:00:00+00:00", {})
MEMBERS = {WAREHOUSE: b"rows" * 5000, "sandbox.db": b"SQLite", "keystore.key": b"secret", "settings.json": b"{}"}


@pytest.fixture
def made(tmp_path: Path) -> Path:
    folder = tmp_path / "members"
    folder.mkdir()
    for name, content in MEMBERS.items():
        (folder / name).write_bytes(content)
    (folder / "stray.txt").write_text("not ours")
    write_archive(tmp_path / "one.backup", folder, ABOUT)
    return tmp_path / "one.backup"


def unpack(source: Path) -> tuple[Manifest, dict[str, bytes]]:
    target = source.parent / "unpacked"
    target.mkdir()
    manifest = read_archive(source, target)
    return manifest, {path.name: path.read_bytes() for path in target.iterdir()}


def forge(path: Path, **changes: Any) -> Path:
    """Write an archive as a stranger would: nothing but a manifest, with changes."""
    manifest = {"format": 1, "version": "0.0.1", "environment": "sandbox", "made_at": "", "members": {}} | changes
    return write_members(path, [(MANIFEST, json.dumps(manifest).encode())])


def write_members(path: Path, members: Iterable[tuple[str, bytes]]) -> Path:
    with tarfile.open(path, "w") as archive:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def of(content: bytes) -> list[object]:
    return [len(content), sha256(content).hexdigest()]


def test_what_goes_in_comes_out(made: Path) -> None:
    manifest, found = unpack(made)
    assert found == MEMBERS
    assert (manifest.version, manifest.environment, manifest.made_at) == ("1.0", "sandbox", ABOUT.made_at)
    assert made.stat().st_mode & 0o777 == 0o600


def test_nothing_else_is_left_beside_it(made: Path) -> None:
    assert sorted(path.name for path in made.parent.iterdir()) == ["members", "one.backup"]


@pytest.mark.parametrize("share", [0.0, 0.01, 0.3, 0.6])
def test_a_cut_file_is_refused(made: Path, share: float) -> None:
    whole = made.read_bytes()
    made.write_bytes(whole[: int(len(whole) * share)])
    with pytest.raises(ConfigurationError, match=r"one\.backup"):
        unpack(made)


def test_one_flipped_byte_in_a_member_is_refused(made: Path) -> None:
    whole = bytearray(made.read_bytes())
    whole[whole.index(b"rowsrows") + 9] ^= 1
    made.write_bytes(whole)
    with pytest.raises(ConfigurationError, match=r"damaged: warehouse\.dump"):
        unpack(made)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 a zip", b"\x1f\x8b gzip", b"x" * 10_240])
def test_a_file_that_is_no_backup_is_refused(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "letter"
    path.write_bytes(content)
    with pytest.raises(ConfigurationError, match="letter"):
        unpack(path)


def test_a_folder_or_a_missing_file_is_refused_in_one_sentence(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(ConfigurationError, match="cannot be read"):
            read_archive(path, tmp_path)


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"format": 3}, "newer version"),
        ({"format": "x"}, "manifest cannot be read"),
        ({"format": 0}, "manifest cannot be read"),
        ({"format": 1.9}, "manifest cannot be read"),
        ({"format": True}, "manifest cannot be read"),
        ({"format": float("inf")}, "manifest cannot be read"),
        ({"schema": "0999"}, "newer version"),
        ({"schema": 7}, "manifest cannot be read"),
        ({"made_at": [[]]}, "manifest cannot be read"),
        ({"members": {WAREHOUSE: [float("inf"), ""]}}, "manifest cannot be read"),
        ({"members": {WAREHOUSE: [-1, ""]}}, "manifest cannot be read"),
        ({"members": {WAREHOUSE: [1, 2, 3]}}, "manifest cannot be read"),
        ({"members": []}, "manifest cannot be read"),
        ({"members": {}}, "warehouse.dump is missing"),
        ({"members": {WAREHOUSE: [0, ""], "../../outside": [0, ""]}}, r"\.\./\.\./outside"),
        ({"members": {WAREHOUSE: [0, ""]}}, "no complete backup"),
    ],
)
def test_a_manifest_that_is_not_ours_is_refused(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with pytest.raises(ConfigurationError, match=said):
        unpack(forge(tmp_path / "forged", **changes))


@pytest.mark.parametrize(
    "text", [b"[" * 200_000, b'{"format":1,"members":' + b"[" * 99_999, b"\xff\xfe\x00", b'{"format": 9e999}']
)
def test_a_manifest_that_no_parser_likes_is_refused(tmp_path: Path, text: bytes) -> None:
    with pytest.raises(ConfigurationError, match="manifest cannot be read"):
        unpack(write_members(tmp_path / "forged", [(MANIFEST, text)]))


@pytest.mark.parametrize("name", ["../../../evil", "/etc/evil", "settings.json", WAREHOUSE, MANIFEST])
def test_a_member_that_the_manifest_does_not_name_once_is_refused(tmp_path: Path, name: str) -> None:
    about = {"format": 1, "version": "0.0.1", "environment": "sandbox", "made_at": "", "members": {WAREHOUSE: of(b"x")}}
    members = [(MANIFEST, json.dumps(about).encode()), (WAREHOUSE, b"x"), (name, b"x")]
    with pytest.raises(ConfigurationError, match="more than its manifest names"):
        unpack(write_members(tmp_path / "forged", members))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["forged", "unpacked"]


def test_a_small_file_that_unpacks_to_a_large_one_writes_nothing(tmp_path: Path) -> None:
    path = forge(tmp_path / "forged", members={WAREHOUSE: [10**9, ""]})
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(WAREHOUSE)
        info.pax_headers = {"GNU.sparse.size": "1000000000", "GNU.sparse.map": "1000000000,0"}
        archive.addfile(info)
    with pytest.raises(ConfigurationError, match=r"damaged: warehouse\.dump"):
        unpack(path)
    assert list((tmp_path / "unpacked").iterdir()) == []


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE, tarfile.DIRTYPE])
def test_what_is_no_file_in_place_of_a_member_is_refused(tmp_path: Path, kind: bytes) -> None:
    path = forge(tmp_path / "forged", members={WAREHOUSE: [0, ""]})
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(WAREHOUSE)
        info.type, info.linkname = kind, MANIFEST
        archive.addfile(info)
    with pytest.raises(ConfigurationError, match=r"damaged: warehouse\.dump"):
        unpack(path)


def test_a_pipe_or_a_device_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/zero")):
        with pytest.raises(ConfigurationError, match="is no file"):
            read_archive(path, tmp_path)


def test_a_disk_that_is_full_while_unpacking_is_not_the_fault_of_the_backup(
    made: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("app.backup.archive.os.open", full)
    with pytest.raises(ConfigurationError, match=r"unpacked cannot be written: No space left"):
        unpack(made)


def test_a_file_that_appears_under_the_name_meanwhile_is_kept(
    made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "two.backup"
    folder = tmp_path / "members"

    def other(descriptor: int) -> None:
        target.write_text("somebody else's")

    monkeypatch.setattr("app.backup.archive.os.fsync", other)
    with pytest.raises(ConfigurationError, match="is there already"):
        write_archive(target, folder, ABOUT)
    assert target.read_text() == "somebody else's"
    target.unlink()

    def refused(*_: object) -> None:
        raise OSError(errno.EPERM, "no hard links here")

    with monkeypatch.context() as patched:
        patched.setattr("app.backup.archive.os.link", refused)
        with pytest.raises(ConfigurationError, match="is there already"):
            write_archive(target, folder, ABOUT)
        target.unlink()
        patched.setattr("app.backup.archive.os.fsync", lambda _descriptor: None)
        write_archive(target, folder, ABOUT)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["members", "one.backup", "two.backup"]


def test_a_link_in_place_of_a_member_is_refused(tmp_path: Path) -> None:
    path = forge(tmp_path / "forged", members={WAREHOUSE: [0, ""]})
    with tarfile.open(path, "a") as archive:
        info = tarfile.TarInfo(WAREHOUSE)
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(info)
    with pytest.raises(ConfigurationError):
        unpack(path)


def test_settings_are_kept_without_their_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSBOOK_API_PORT", "8123")
    monkeypatch.setenv("CROSSBOOK_KEYSTORE_PASSPHRASE", "a long passphrase")
    monkeypatch.setenv("CROSSBOOK_OPENAI_BASE_URL", "https://me:word@example.test/v1")
    kept = settings_to_keep(load_settings())
    assert kept["values"] == {"CROSSBOOK_API_PORT": "8123"}
    assert kept["secrets"] == ["CROSSBOOK_KEYSTORE_PASSPHRASE", "CROSSBOOK_OPENAI_BASE_URL"]
