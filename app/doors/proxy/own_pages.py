"""The doors' own pages over whichever accounts can be opened now."""

from __future__ import annotations

import time

from starlette.applications import Starlette
from starlette.types import Receive, Scope, Send

from app.doors.accounts import Accounts
from app.doors.pages import sign_in_routes
from app.doors.proxy.answers import refuse
from app.doors.proxy.identities import UNUSABLE, AccountsUnusable, Identities
from streams.settings import Settings


class OwnPages:
    """The application of what stands under `/-/`."""

    def __init__(self, identities: Identities, settings: Settings) -> None:
        self._identities = identities
        self._settings = settings
        self._built: tuple[Accounts, Starlette] | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        try:
            accounts = self._identities.accounts()
        except AccountsUnusable:
            await refuse(scope, send, UNUSABLE)
            return
        if self._built is None or self._built[0] is not accounts:
            self._built = accounts, Starlette(routes=sign_in_routes(accounts, self._settings, time.time))
        await self._built[1](scope, receive, send)
