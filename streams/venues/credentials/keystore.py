"""The encrypted keystore: one file in CROSSBOOK_HOME, each entry sealed with AES-256-GCM under its own name.

The key of an entry comes from CROSSBOOK_KEYSTORE_PASSPHRASE (scrypt with a salt of its own) or, where no passphrase is
set, from a key file that only the owner may read. A key file protects against a glance and a lost backup of one file,
not against a thief of the folder, so entries of the live environment refuse it.
"""

from __future__ import annotations

import base64
import fcntl
import json
import os
import re
import secrets
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

from streams.market.errors import ConfigurationError
from streams.market.identity import Environment
from streams.settings import Settings
from streams.venues.credentials.keys import KalshiCredentials, PolymarketCredentials

SANDBOX_START_CASH_USD = "10000"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_SCRYPT_N, _SCRYPT_R, _SCRYPT_P = 2**15, 8, 1


class Keystore:
    """Named entries of text fields. `kalshi-<environment>` and `polymarket-<environment>` are read by the clients."""

    def __init__(self, settings: Settings) -> None:
        self._home = settings.home_dir
        self._passphrase = settings.keystore_passphrase
        self._path = self._home / "keystore.json"
        self._key_path = self._home / "keystore.key"

    def set(self, name: str, fields: Mapping[str, str]) -> None:
        """Store an entry, replacing one of the same name.

        Raises:
            ConfigurationError: For a bad name, for fields a client could not use, and for a live entry without a
                passphrase.
        """
        if not _NAME.fullmatch(name):
            raise ConfigurationError("A key's name is 1 to 64 lower-case letters, digits, dashes or underscores.")
        if name.startswith("kalshi-"):
            KalshiCredentials.from_fields(fields)
        if name.startswith("polymarket-"):
            PolymarketCredentials.from_fields(fields)
        if self._passphrase is None and name.endswith("-live"):
            raise ConfigurationError("Set CROSSBOOK_KEYSTORE_PASSPHRASE before keys of the live exchanges are stored.")
        with self._locked():
            entries = self._read()
            entries[name] = self._seal(name, fields)
            self._write(entries)

    def get(self, name: str) -> dict[str, str] | None:
        """Return the fields of an entry, None where there is none.

        Raises:
            ConfigurationError: If it cannot be opened with the passphrase or key file at hand.
        """
        entry = self._read().get(name)
        return None if entry is None else self._open(name, entry)

    def list(self) -> list[str]:
        """Return the names of all entries, sorted."""
        return sorted(self._read())

    def remove(self, name: str) -> bool:
        """Forget an entry; return whether there was one."""
        with self._locked():
            entries = self._read()
            if entries.pop(name, None) is None:
                return False
            self._write(entries)
            return True

    def kalshi(self, environment: Environment) -> KalshiCredentials | None:
        """Return Kalshi's key of an environment, None where there is none."""
        fields = self.get(f"kalshi-{environment}")
        return None if fields is None else KalshiCredentials.from_fields(fields)

    def polymarket(self, environment: Environment) -> PolymarketCredentials | None:
        """Return Polymarket's key of an environment, None where there is none."""
        fields = self.get(f"polymarket-{environment}")
        return None if fields is None else PolymarketCredentials.from_fields(fields)

    def _seal(self, name: str, fields: Mapping[str, str]) -> dict[str, str]:
        nonce = secrets.token_bytes(12)
        entry = {"key": "file", "nonce": _text(nonce)}
        if self._passphrase is not None:
            entry |= {"key": "passphrase", "salt": _text(secrets.token_bytes(16))}
        clear = json.dumps(dict(fields), sort_keys=True).encode()
        entry["sealed"] = _text(AESGCM(self._key(entry)).encrypt(nonce, clear, name.encode()))
        return entry

    def _open(self, name: str, entry: Mapping[str, str]) -> dict[str, str]:
        try:
            nonce, sealed = base64.b64decode(entry["nonce"]), base64.b64decode(entry["sealed"])
            clear = AESGCM(self._key(entry)).decrypt(nonce, sealed, name.encode())
        except (InvalidTag, KeyError, ValueError):
            which = "CROSSBOOK_KEYSTORE_PASSPHRASE" if entry.get("key") == "passphrase" else str(self._key_path)
            raise ConfigurationError(f"The key {name!r} cannot be opened with {which}.") from None
        fields: dict[str, str] = json.loads(clear)
        return fields

    def _key(self, entry: Mapping[str, str]) -> bytes:
        if entry["key"] == "file":
            return self._key_of_file()
        if self._passphrase is None:
            raise ConfigurationError("Set CROSSBOOK_KEYSTORE_PASSPHRASE: the keystore was sealed with a passphrase.")
        kdf = Scrypt(base64.b64decode(entry["salt"]), length=32, n=_SCRYPT_N, r=_SCRYPT_R, p=_SCRYPT_P)
        return kdf.derive(self._passphrase.get_secret_value().encode())

    def _key_of_file(self) -> bytes:
        if not self._key_path.exists():
            write_private(self._key_path, _text(AESGCM.generate_key(256)).encode())
        key = base64.b64decode(self._key_path.read_bytes())
        if len(key) != 32:
            raise ConfigurationError(f"{self._key_path} is not a keystore key.")
        return key

    def _read(self) -> dict[str, dict[str, str]]:
        if not self._path.exists():
            return {}
        try:
            document: dict[str, Any] = json.loads(self._path.read_bytes())
            entries: dict[str, dict[str, str]] = document["entries"]
        except (ValueError, KeyError, TypeError):
            raise ConfigurationError(f"{self._path} is not a keystore; restore it or move it away.") from None
        return entries

    def _write(self, entries: Mapping[str, Mapping[str, str]]) -> None:
        write_private(self._path, json.dumps({"version": 1, "entries": entries}, indent=1).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        self._home.mkdir(parents=True, exist_ok=True)
        with (self._home / "keystore.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def write_private(path: Path, content: bytes) -> None:
    """Replace a file whole, readable by its owner only, and synced before it appears."""
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    descriptor = os.open(scratch, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        scratch.replace(path)
    except BaseException:
        scratch.unlink(missing_ok=True)
        raise


def _text(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


def ensure_sandbox_credentials(settings: Settings) -> None:
    """Make the sandbox's keys where they are missing and write `sandbox/accounts.json` (0600).

    Safe to call at every start: keys that exist are kept, and the file is rewritten only when it differs.

    Raises:
        ConfigurationError: If existing keys cannot be opened.
    """
    keystore = Keystore(settings)
    if keystore.get("kalshi-sandbox") is None:
        keystore.set("kalshi-sandbox", _new_kalshi_key())
    if keystore.get("polymarket-sandbox") is None:
        keystore.set("polymarket-sandbox", _new_polymarket_key())
    content = json.dumps(_venue_side(keystore), indent=1).encode()
    path = settings.home_dir / "sandbox" / "accounts.json"
    if not path.exists() or path.read_bytes() != content:
        write_private(path, content)


def _venue_side(keystore: Keystore) -> dict[str, Any]:
    kalshi = keystore.kalshi("sandbox")
    polymarket = keystore.polymarket("sandbox")
    assert kalshi is not None
    assert polymarket is not None
    private = serialization.load_pem_private_key(kalshi.private_key_pem.get_secret_value().encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return {
        "kalshi": [{"key_id": kalshi.key_id, "public_key_pem": public.decode(), "cash_usd": SANDBOX_START_CASH_USD}],
        "polymarket": [
            {
                "address": polymarket.address,
                "api_key": polymarket.api_key,
                "secret": polymarket.secret.get_secret_value(),
                "passphrase": polymarket.passphrase.get_secret_value(),
                "cash_usd": SANDBOX_START_CASH_USD,
            }
        ],
    }


def _new_kalshi_key() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return {"key_id": str(uuid.uuid4()), "private_key_pem": pem.decode()}


def _new_polymarket_key() -> dict[str, str]:
    from eth_account import Account  # takes half a second to import and is needed once in a home's life

    private_key = "0x" + secrets.token_hex(32)
    return {
        "private_key": private_key,
        "address": str(Account.from_key(private_key).address),
        "api_key": str(uuid.uuid4()),
        "secret": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "passphrase": secrets.token_hex(32),
    }
