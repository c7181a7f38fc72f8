"""The token that permits writes: made at the first start, readable by its owner only."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from streams.market.errors import ConfigurationError
from streams.settings import Settings

_BYTES = 32
_LENGTH_MIN = 32


def token_path(settings: Settings) -> Path:
    """Return where the token of this home lies."""
    return settings.home_dir / "api_token"


def ensure_token(settings: Settings) -> str:
    """Return the token of this home, made with mode 0600 if there is none yet. Safe from several processes.

    Raises:
        ConfigurationError: If the file is unusable: readable by others, or cut short.
    """
    path = token_path(settings)
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        # Written whole under another name first, so that nobody ever reads half a token.
        draft = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        handle = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "w") as file:
            file.write(secrets.token_urlsafe(_BYTES) + "\n")
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
    if path.stat().st_mode & 0o077:
        raise ConfigurationError(f"{path} can be read by others; run `chmod 600` on it, or delete it for a new token.")
    token = path.read_text().strip()
    if len(token) < _LENGTH_MIN:
        raise ConfigurationError(f"{path} holds no usable token; delete it and start again for a new one.")
    return token
