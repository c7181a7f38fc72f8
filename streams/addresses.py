"""Addresses that carry secrets, checked where they are set: one sentence that never shows the value.

A PostgreSQL address has two forms, `postgresql://user:password@host:port/name?parameter=value` and
`host=... port=... user=... password=... dbname=...`; both are understood as libpq does, and what libpq would only find
out while connecting, with a part of the password in its message, is found out here.
"""

from __future__ import annotations

import os
import re
from urllib.parse import quote, unquote, urlsplit

from streams.redaction import register_address, register_secret

_CONTROLS = re.compile(r"[\x00-\x1f\x7f]")
_BAD_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ODD_HOST = re.compile(r"[\s@:/?#\\%]")
_SECRET_PARAMETERS = ("password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
_WHOLE_NUMBERS = (
    "connect_timeout", "keepalives", "keepalives_idle", "keepalives_interval", "keepalives_count", "tcp_user_timeout",
)  # fmt: skip
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": ("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
}


class UnusableAddress(ValueError):
    """An address that cannot be meant; the message says what is wrong and never holds a part of it."""


def check_database_address(address: str) -> str:
    """Return the address of a PostgreSQL database as it is to be used; its password is a loaded secret from now on.

    Raises:
        UnusableAddress: If it cannot be meant.
    """
    address = address.strip()
    register_secret(address)
    if _CONTROLS.search(address):
        raise UnusableAddress("it holds a control character or a line break")
    is_url = "://" in address.partition("=")[0]
    if is_url:
        _check_url(address)
    elif "=" not in address:
        raise UnusableAddress("it is neither postgresql://user:password@host:port/name nor host=... dbname=...")
    parts = database_parts(address)
    register_secret(*(parts.get(name) for name in _SECRET_PARAMETERS))
    if is_url:
        register_address(address)
    _check_parts(parts)
    return address


def database_parts(address: str) -> dict[str, str]:
    """Return the parameters of a PostgreSQL address by name, decoded.

    Raises:
        UnusableAddress: If it cannot be parsed.
    """
    import psycopg
    from psycopg.conninfo import conninfo_to_dict

    try:
        found = conninfo_to_dict(address)
    except psycopg.Error as error:
        raise UnusableAddress(_why(str(error))) from None
    except (ValueError, UnicodeError):
        raise UnusableAddress(_ENCODE) from None
    return {name: str(value) for name, value in found.items() if value is not None}


def shown_database_address(address: str) -> str:
    """Return a PostgreSQL address for people: user, hosts, ports and database, without its password."""
    parts = database_parts(address)
    hosts, ports = parts.get("host", "").split(","), parts.get("port", "5432").split(",")
    places = []
    for number, host in enumerate(hosts):
        port = ports[number] if number < len(ports) else ports[0]
        place = f"[{host}]" if ":" in host else quote(host, safe="") if host.startswith("/") else host
        places.append(f"{place}:{port or 5432}")
    user = quote(parts.get("user", ""), safe="")
    return f"postgresql://{f'{user}@' if user else ''}{','.join(places)}/{quote(parts.get('dbname', ''), safe='')}"


def check_web_address(address: str) -> str:
    """Return an http(s) or ws(s) address without blanks around it; a password in it is a loaded secret from now on.

    Raises:
        UnusableAddress: If it has no host, a port that is none, or signs that no address has.
    """
    address = address.strip()
    register_address(address)
    if not address:
        return address
    if _CONTROLS.search(address) or " " in address:
        raise UnusableAddress("it holds a blank, a control character or a line break")
    try:
        parts = urlsplit(address)
        has_host, _ = bool(parts.hostname), parts.port
    except ValueError:
        raise UnusableAddress("its host or port cannot be meant") from None
    if parts.scheme in ("http", "https", "ws", "wss") and not has_host:
        raise UnusableAddress("it names no host")
    return address


_ENCODE = "it cannot be parsed; signs such as @ : / % # ? in a user or password must be percent-encoded (@ is %40)"


def _check_url(address: str) -> None:
    scheme = address.partition("://")[0]
    if scheme not in ("postgresql", "postgres"):
        raise UnusableAddress("it must begin with postgresql:// (or be host=... dbname=...)")
    if _BAD_PERCENT.search(address):
        raise UnusableAddress("it holds a % without two hexadecimal digits after it; a % in a password is %25")
    if "\\" in address or " " in address:
        raise UnusableAddress(_ENCODE)


def _why(said: str) -> str:
    """Name the mistake that libpq found, without the words of it that may be a part of a password."""
    if "invalid URI query parameter" in said or "invalid connection option" in said:
        return "it holds a parameter that PostgreSQL does not know, or an unencoded sign in its password"
    if 'missing "="' in said or "unterminated quoted string" in said:
        return (
            "one of its parameters has no value, or a quote does not end; put single quotes around a value with blanks"
        )
    return _ENCODE


def _check_parts(parts: dict[str, str]) -> None:
    hosts, ports = parts.get("host", "").split(","), parts.get("port", "").split(",")
    for host in hosts:
        if not host.startswith("/") and not _is_address_6(host) and _ODD_HOST.search(host):
            raise UnusableAddress(f"its host cannot be meant: {_ENCODE.removeprefix('it cannot be parsed; ')}")
    for port in (port.strip() for port in ports):
        if port and not (re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65_535):
            raise UnusableAddress("its port is not a number from 1 to 65535 (a : or / in a password must be encoded)")
    if len(ports) not in (1, len(hosts)):
        raise UnusableAddress("it has another number of ports than of hosts")
    _check_database_name(parts)
    for name in _WHOLE_NUMBERS:
        if name in parts and not re.fullmatch(r"-?[0-9]{1,9}", parts[name].strip()):
            raise UnusableAddress(f"its {name} is not a whole number")
    for name, choices in _CHOICES.items():
        if name in parts and parts[name] not in choices:
            raise UnusableAddress(f"its {name} must be one of {', '.join(choices)}")


def _check_database_name(parts: dict[str, str]) -> None:
    database = parts.get("dbname", "")
    if "@" in database or "://" in database:
        raise UnusableAddress(_ENCODE)
    is_elsewhere = parts.get("service") or os.environ.get("PGSERVICE") or os.environ.get("PGDATABASE")
    if not database and not is_elsewhere:
        raise UnusableAddress("it names no database; put its name at the end (.../name, or dbname=name)")


def _is_address_6(host: str) -> bool:
    import ipaddress

    try:
        ipaddress.IPv6Address(unquote(host))
    except ValueError:
        return False
    return True
