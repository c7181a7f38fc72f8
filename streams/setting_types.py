"""The types of settings that need more than a number or a word: secrets, addresses, amounts."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, Field, SecretStr

from streams.addresses import check_database_address, check_web_address
from streams.redaction import register_address, register_secret

_LONG_PART = 12
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")


def check_text(value: str, *, is_secret: bool) -> str:
    """Return a setting's text without blanks around it; a secret's as it is.

    Raises:
        ValueError: If it is no text that can be meant: not UTF-8, or with control characters.
    """
    if any("\ud800" <= sign <= "\udfff" for sign in value):
        raise ValueError("it is not valid UTF-8")
    if is_secret:
        if "\x00" in value:
            raise ValueError("it holds a zero byte")
        return value
    if _CONTROLS.search(value.strip()):
        raise ValueError("it holds a control character or a line break")
    return value.strip()


def _loaded(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value()
    if not text.strip():
        raise ValueError("it holds blanks only")
    register_secret(text)
    register_address(text)
    return secret


def _usable_in_a_header(secret: SecretStr) -> SecretStr:
    text = secret.get_secret_value().strip()
    if not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError("it holds a blank or a sign that no key has")
    return SecretStr(text)


def _webhook(secret: SecretStr) -> SecretStr:
    # Whoever knows the path may post: its parts are as secret as the address.
    register_secret(*(part for part in re.split("[/?&=#:@]", secret.get_secret_value()) if len(part) >= _LONG_PART))
    return secret


def _channels(secret: SecretStr) -> SecretStr:
    for address in secret.get_secret_value().split():
        _webhook(_loaded(SecretStr(address)))
    return secret


def _database(secret: SecretStr) -> SecretStr:
    return SecretStr(check_database_address(secret.get_secret_value()))


Secret = Annotated[SecretStr, AfterValidator(_loaded)]
"""A text that is never shown, from the moment on at which it was read."""
Channels = Annotated[Secret, AfterValidator(_channels)]
"""Addresses with blanks between them, each as secret as all of them together."""
Webhook = Annotated[Secret, AfterValidator(_webhook)]
"""An address that is a secret by itself. One that cannot be used is found out where it is used, and stops nothing."""
HeaderSecret = Annotated[Secret, AfterValidator(_usable_in_a_header)]
"""A secret that is sent as a header."""
DatabaseAddress = Annotated[Secret, AfterValidator(_database)]
"""A PostgreSQL address in either form, known to be usable."""
WebAddress = Annotated[str, AfterValidator(check_web_address)]
"""An address of a server. One with a user and a password in it is not shown with them."""
Amount = Annotated[Decimal, Field(decimal_places=6)]
"""Dollars, contracts or a share; six decimals are the finest there are."""
