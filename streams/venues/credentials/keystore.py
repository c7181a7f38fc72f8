"""The encrypted keystore: one file in CROSSBOOK_HOME, each entry sealed with AES-256-GCM under its own name.

The key of an entry comes from CROSSBOOK_KEYSTORE_PASSPHRASE (scrypt with a salt of its own and its parameters) or,
where no passphrase is set, from a key file that only the owner may read. A key file protects against a glance and the
loss of one file, not against a thief of the folder, so entries of the live environment refuse it.
"""

from __future__ import annotations

import base64
import fcntl
import json
import re
import secrets
import uuid
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.scrypt import Scrypt
from pydantic import SecretStr

from streams.documents import kept_recursion_limit, parse_document
from streams.logs import get_logger
from streams.market.errors import ConfigurationError
from streams.market.identity import Environment
from streams.redaction import register_secret
from streams.settings import Settings
from streams.venues.credentials.keys import KalshiCredentials, PolymarketCredentials
from streams.venues.credentials.private_files import read_private, write_private

SANDBOX_START_CASH_USD = "10000"
_NAME = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
PASSPHRASE_MIN = 12
"""Characters of a passphrase that something new is sealed with."""
_SCRYPT = {"n": 2**15, "r": 8, "p": 1}
"""Of new entries, and of old ones that do not say theirs."""
_SCRYPT_MAX = {"n": 2**20, "r": 32, "p": 16}
_VERSION = 2
_RESEAL = "`crossbook keys passphrase` reseals all keys under a new passphrase"
_warned: set[str] = set()


Entry: TypeAlias = dict[str, Any]
"""One sealed entry as it stands in the file."""
_PUBLIC_FIELDS = frozenset({"key_id", "address", "funder", "signature_type"})


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
            ConfigurationError: For a bad name, for fields a client could not use, for a live entry without a
                passphrase, for a passphrase of fewer than twelve characters, for a key file that is missing, and for a
                passphrase or key file that does not open the other entries.
        """
        if not _NAME.fullmatch(name):
            raise ConfigurationError("A key's name is 1 to 64 lower-case letters, digits, dashes or underscores.")
        if name.startswith("kalshi-"):
            KalshiCredentials.from_fields(fields)
        if name.startswith("polymarket-"):
            PolymarketCredentials.from_fields(fields)
        if self._passphrase is None and is_live(name):
            raise ConfigurationError("Set CROSSBOOK_KEYSTORE_PASSPHRASE before keys of the live exchanges are stored.")
        if self._passphrase is not None:
            check_passphrase(self._passphrase.get_secret_value(), "CROSSBOOK_KEYSTORE_PASSPHRASE")
        with self._locked():
            entries = self._read()
            self._check_opens({other: entry for other, entry in entries.items() if other != name})
            entries[name] = self._seal(name, fields, is_first=not entries)
            self._write(entries)

    def get(self, name: str) -> dict[str, str] | None:
        """Return the fields of an entry, None where there is none.

        Raises:
            ConfigurationError: If it cannot be opened with the passphrase or key file at hand, if others may read the
                files, and for a live entry that is sealed with the key file.
        """
        entry = self._read().get(name)
        if entry is None:
            return None
        if is_live(name) and entry["key"] == "file":
            raise ConfigurationError(
                f"The key {name!r} is sealed with the key file, which live keys refuse; {_RESEAL}."
            )
        self._warn_of_short_passphrase()
        return self._open(name, entry)

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

    def change_passphrase(self, new: str) -> int:
        """Seal every entry anew under another passphrase; return how many there are.

        The file is replaced whole: whoever is interrupted has the old keystore or the new one.

        Raises:
            ConfigurationError: If the new passphrase is too short, or an entry cannot be opened; nothing has changed.
        """
        register_secret(new)
        check_passphrase(new, "The new passphrase")
        with self._locked():
            opened = {name: self._open(name, entry) for name, entry in self._read().items()}
            after = Keystore.__new__(Keystore)
            after._home, after._path, after._key_path = self._home, self._path, self._key_path
            after._passphrase = SecretStr(new)
            self._write({name: after._seal(name, fields) for name, fields in opened.items()})
            self._key_path.unlink(missing_ok=True)
        return len(opened)

    def kalshi(self, environment: Environment) -> KalshiCredentials | None:
        """Return Kalshi's key of an environment, None where there is none."""
        fields = self.get(f"kalshi-{environment}")
        return None if fields is None else KalshiCredentials.from_fields(fields)

    def kalshi_reader(self, environment: Environment) -> KalshiCredentials | None:
        """Return the Kalshi key of what only reads (the recorder): `kalshi-read-<environment>`, else the only one."""
        fields = self.get(f"kalshi-read-{environment}")
        return self.kalshi(environment) if fields is None else KalshiCredentials.from_fields(fields)

    def polymarket(self, environment: Environment) -> PolymarketCredentials | None:
        """Return Polymarket's key of an environment, None where there is none."""
        fields = self.get(f"polymarket-{environment}")
        return None if fields is None else PolymarketCredentials.from_fields(fields)

    def _warn_of_short_passphrase(self) -> None:
        if not self.has_short_passphrase or str(self._path) in _warned:
            return
        _warned.add(str(self._path))
        get_logger().warning("the passphrase of the keystore is shorter than 12 characters", remedy=_RESEAL)

    @property
    def has_short_passphrase(self) -> bool:
        """Whether the passphrase in use is one that nothing new would be sealed with."""
        return self._passphrase is not None and len(self._passphrase.get_secret_value()) < PASSPHRASE_MIN

    def _seal(self, name: str, fields: Mapping[str, str], *, is_first: bool = False) -> Entry:
        nonce = secrets.token_bytes(12)
        entry: Entry = {"key": "file", "nonce": _text(nonce)}
        if self._passphrase is not None:
            entry |= {"key": "passphrase", "salt": _text(secrets.token_bytes(16)), "kdf": {"name": "scrypt", **_SCRYPT}}
        elif is_first and not self._key_path.exists():
            write_private(self._key_path, _text(AESGCM.generate_key(256)).encode())
        clear = json.dumps(dict(fields), sort_keys=True).encode()
        entry["sealed"] = _text(AESGCM(self._key(entry)).encrypt(nonce, clear, name.encode()))
        return entry

    def _check_opens(self, entries: Mapping[str, Entry]) -> None:
        """Refuse to seal beside entries that a passphrase, or the key file, sealed and that ours does not open."""
        kind = "file" if self._passphrase is None else "passphrase"
        for name, entry in entries.items():
            if entry["key"] != kind:
                continue
            try:
                self._open(name, entry)
            except ConfigurationError as error:
                raise ConfigurationError(
                    f"{str(error).rstrip('.')}, so nothing is sealed beside it: set CROSSBOOK_KEYSTORE_PASSPHRASE to "
                    f"what opens it, or remove it with `crossbook keys remove {name}`."
                ) from None

    def _open(self, name: str, entry: Entry) -> dict[str, str]:
        try:
            nonce, sealed = _raw(entry["nonce"]), _raw(entry["sealed"])
            clear = AESGCM(self._key(entry)).decrypt(nonce, sealed, name.encode())
            fields: dict[str, str] = json.loads(clear)
        except (InvalidTag, KeyError, ValueError, TypeError, OverflowError):
            which = "CROSSBOOK_KEYSTORE_PASSPHRASE" if entry.get("key") == "passphrase" else str(self._key_path)
            raise ConfigurationError(f"The key {name!r} cannot be opened with {which}.") from None
        register_secret(*(value for field, value in fields.items() if field not in _PUBLIC_FIELDS))
        return fields

    def _key(self, entry: Entry) -> bytes:
        if entry["key"] == "file":
            return self._key_of_file()
        if entry["key"] != "passphrase":
            raise ConfigurationError(f"{self._path} was written by a newer Crossbook; use that one.")
        if self._passphrase is None:
            raise ConfigurationError("Set CROSSBOOK_KEYSTORE_PASSPHRASE: the keystore was sealed with a passphrase.")
        kdf = Scrypt(_raw(entry["salt"]), length=32, **_scrypt(entry.get("kdf")))
        return kdf.derive(self._passphrase.get_secret_value().encode())

    def _key_of_file(self) -> bytes:
        text = read_private(self._key_path)
        if text is None:
            raise ConfigurationError(
                f"{self._key_path} is missing, and a new one would open nothing: restore it from a backup, or set "
                "CROSSBOOK_KEYSTORE_PASSPHRASE if that is what the keys were sealed with."
            )
        try:
            key = _raw(text.decode("ascii").strip())
        except ValueError:
            key = b""
        if len(key) != 32:
            raise ConfigurationError(f"{self._key_path} is not a keystore key; restore it from a backup.")
        register_secret(text.decode("ascii"))
        return key

    def _read(self) -> dict[str, Entry]:
        raw = read_private(self._path)
        if raw is None:
            return {}
        try:
            document: Any = parse_document(raw.decode())
            version, entries = document.get("version", 1), document["entries"]
            if not isinstance(version, int) or not all(_is_entry(*item) for item in entries.items()):
                raise ValueError
        except (ValueError, KeyError, TypeError, AttributeError):
            raise ConfigurationError(f"{self._path} is not a keystore; restore it or move it away.") from None
        if version > _VERSION:
            raise ConfigurationError(f"{self._path} was written by a newer Crossbook; use that one.")
        return dict(entries)

    def _write(self, entries: Mapping[str, Entry]) -> None:
        write_private(self._path, json.dumps({"version": _VERSION, "entries": entries}, indent=1).encode())

    @contextmanager
    def _locked(self) -> Iterator[None]:
        try:
            self._home.mkdir(parents=True, exist_ok=True)
            lock = (self._home / "keystore.lock").open("w")
        except OSError as error:
            raise ConfigurationError(f"{self._home} cannot be written: {error.strerror}.") from None
        with lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def is_live(name: str) -> bool:
    """Return whether an entry holds a key of the live exchanges."""
    return name.endswith("-live")


def check_passphrase(passphrase: str, what: str) -> None:
    """Refuse a passphrase that something new is not to be sealed with.

    Raises:
        ConfigurationError: If it has fewer than twelve characters, or one that CROSSBOOK_KEYSTORE_PASSPHRASE cannot
            hold; `what` begins the sentence.
    """
    if len(passphrase.strip()) < PASSPHRASE_MIN:
        raise ConfigurationError(f"{what} needs at least {PASSPHRASE_MIN} characters; {_RESEAL}.")
    if "\x00" in passphrase:
        raise ConfigurationError(f"{what} holds a zero byte, which no setting can.")


def shares_kalshi_key(names: Collection[str], environment: str) -> bool:
    """Return whether recorder and trading use the same Kalshi key, because no `kalshi-read` is stored beside it.

    Args:
        names: The entries of the keystore.
        environment: `sandbox`, `demo` or `live`.
    """
    return f"kalshi-{environment}" in names and f"kalshi-read-{environment}" not in names


def _scrypt(stored: object) -> dict[str, int]:
    """Return the parameters of an entry; those that would take all memory are nobody's."""
    if stored is None:
        return _SCRYPT
    if not isinstance(stored, dict) or stored.get("name") != "scrypt":
        raise ValueError("unknown key derivation")
    found = {name: stored[name] for name in _SCRYPT}
    if not all(type(value) is int and 1 <= value <= _SCRYPT_MAX[name] for name, value in found.items()):
        raise ValueError("parameters out of range")
    return found


def _is_entry(name: object, entry: object) -> bool:
    return isinstance(name, str) and isinstance(entry, dict) and isinstance(entry.get("key"), str)


def _raw(text: str) -> bytes:
    return base64.b64decode(text, validate=True)


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
    keys: list[dict[str, Any]] = [
        {"key_id": kalshi.key_id, "public_key_pem": _public_pem(kalshi), "cash_usd": SANDBOX_START_CASH_USD}
    ]
    reader = keystore.kalshi_reader("sandbox")
    if reader is not None and reader.key_id != kalshi.key_id:
        keys.append(
            {"key_id": reader.key_id, "public_key_pem": _public_pem(reader), "cash_usd": "0", "scopes": ["read"]}
        )
    return {
        "kalshi": keys,
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


def _public_pem(key: KalshiCredentials) -> str:
    private = serialization.load_pem_private_key(key.private_key_pem.get_secret_value().encode(), None)
    public = private.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return public.decode()


def _new_kalshi_key() -> dict[str, str]:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    return {"key_id": str(uuid.uuid4()), "private_key_pem": pem.decode()}


def _new_polymarket_key() -> dict[str, str]:
    with kept_recursion_limit():
        from eth_account import Account  # takes half a second to import and is needed once in a home's life

    private_key = "0x" + secrets.token_hex(32)
    return {
        "private_key": private_key,
        "address": str(Account.from_key(private_key).address),
        "api_key": str(uuid.uuid4()),
        "secret": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
        "passphrase": secrets.token_hex(32),
    }
