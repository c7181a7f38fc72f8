"""Serve the API on 127.0.0.1: `python -m app.api`."""

from __future__ import annotations

import sys

import uvicorn

from app.api.main import create_app
from streams.market.errors import ConfigurationError
from streams.settings import load_settings


def main() -> int:
    """Serve until a signal; return the exit code."""
    try:
        settings = load_settings()
        app = create_app(settings)
    except ConfigurationError as error:
        print(error, file=sys.stderr)
        return 2
    uvicorn.run(app, host="127.0.0.1", port=settings.api_port, log_level=settings.log_level.lower(), access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main())
