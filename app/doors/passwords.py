"""Passwords of local accounts: Argon2id (RFC 9106), stored in its own text form with salt and parameters."""

from __future__ import annotations

import secrets
import unicodedata

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

PASSWORD_MIN = 10
PASSWORD_MAX = 1000
_ITERATIONS = 3
_LANES = 4
_MEMORY_KIB = 64 * 1024
"""RFC 9106, section 4: the second recommended option, 64 MiB, three passes, four lanes."""
_SALT_BYTES = 16
_TAG_BYTES = 32


class UnusablePassword(ValueError):
    """A password that is too short or too long; the message says so without it."""


def hash_password(password: str) -> str:
    """Return what is stored of a password, another text each time.

    Raises:
        UnusablePassword: If it is shorter than ten or longer than a thousand characters.
    """
    folded = _folded(password)
    if not PASSWORD_MIN <= len(folded) <= PASSWORD_MAX:
        raise UnusablePassword(f"A password has {PASSWORD_MIN} to {PASSWORD_MAX} characters.")
    return _kdf(secrets.token_bytes(_SALT_BYTES)).derive_phc_encoded(folded.encode())


def is_password(password: str, stored: str) -> bool:
    """Whether a password is the one stored; a stored text that cannot be read is nobody's."""
    folded = _folded(password)
    if len(folded) > PASSWORD_MAX:
        return False
    try:
        Argon2id.verify_phc_encoded(folded.encode(), stored)
    except (InvalidKey, ValueError):
        return False
    return True


def _kdf(salt: bytes) -> Argon2id:
    return Argon2id(salt=salt, length=_TAG_BYTES, iterations=_ITERATIONS, lanes=_LANES, memory_cost=_MEMORY_KIB)


def _folded(password: str) -> str:
    """One form for what keyboards write in several (NIST SP 800-63B, 5.1.1.2); a lone surrogate is replaced."""
    return unicodedata.normalize("NFKC", password).encode("utf-8", "replace").decode()
