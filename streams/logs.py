"""Structured logs: key-value lines on stderr, with everything that looks like a secret removed."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import MutableMapping
from typing import Any

import structlog

_SECRET_KEYS = re.compile(
    r"(secret|password|passwd|passphrase|api_?key|private|signature|authorization|token$|dsn|database_url|cookie)", re.I
)
_SECRET_TEXT = (
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.S),
    re.compile(r"(?<=://)([^:/@\s]+):([^@/\s]+)(?=@)"),
    re.compile(r"\bsk-[A-Za-z0-9_-]{12,}"),
    re.compile(r"(?i)\b(bearer|basic)\s+[A-Za-z0-9._~+/=-]{8,}"),
)


def redact_text(text: str) -> str:
    """Return `text` with private keys, passwords in addresses and bearer tokens replaced."""
    for pattern in _SECRET_TEXT:
        text = pattern.sub("[redacted]", text)
    return text


def _redact(_logger: object, _name: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key, value in event.items():
        if _SECRET_KEYS.search(key) and key != "event":
            event[key] = "[redacted]"
        elif isinstance(value, str):
            event[key] = redact_text(value)
    return event


def configure_logs(level: str = "INFO", *, as_json: bool = False) -> None:
    """Send structlog's output to stderr at `level`, redacted; JSON lines or human-readable."""
    renderer: Any = structlog.processors.JSONRenderer() if as_json else structlog.dev.ConsoleRenderer(colors=False)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _redact,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelNamesMapping()[level]),
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),  # whatever stderr is when a line is written
        cache_logger_on_first_use=False,
    )


def get_logger(**bound: Any) -> structlog.stdlib.BoundLogger:
    """Return a logger with `bound` on every line."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(**bound)
    return logger
