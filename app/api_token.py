"""The token that permits writes: made at the first start, readable by its owner only."""

from __future__ import annotations

import secrets
from pathlib import Path

from streams.market.errors import ConfigurationError
from streams.redaction import register_secret
from streams.settings import Settings
from streams.venues.credentials.private_files import make_private, read_private

_BYTES = 32
TOKEN_LENGTH_MIN = 32
"""Characters of the shortest token that is one."""


def token_path(settings: Settings) -> Path:
    """Return where the token of this home lies."""
    return settings.home_dir / "api_token"


def ensure_token(settings: Settings) -> str:
    """Return the token of this home, made with mode 0600 if there is none yet. Safe from several processes.

    Raises:
        ConfigurationError: If the file is unusable (readable by others, no file, cut short) or cannot be made.
    """
    path = token_path(settings)
    raw = read_private(path)
    if raw is None:
        make_private(path, f"{secrets.token_urlsafe(_BYTES)}\n".encode())
        raw = read_private(path)
    token = (raw or b"").decode("ascii", "replace").strip()
    if not is_token(token):
        raise ConfigurationError(f"{path} holds no usable token; delete it and start again for a new one.")
    register_secret(token)
    return token


def is_token(text: str) -> bool:
    """Whether a text is long enough for a token and can stand in a header."""
    return len(text) >= TOKEN_LENGTH_MIN and text.isascii() and text.isprintable() and " " not in text
