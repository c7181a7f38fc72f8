"""Who is signed in, above and below the pages: their name and role, the way out, and what is said to nobody."""

from __future__ import annotations

import streamlit as st

from app.dashboard import theme
from app.dashboard.acts import confirm_link
from app.dashboard.data import show_html
from app.dashboard.identity import SignedIn


def show_person(here: SignedIn, page: str) -> None:
    """Draw who is signed in, a button to sign out, and a link to be asked again before an act asks.

    Args:
        here: They.
        page: Address of the page they are on, to come back to.
    """
    person = here.identity
    again = confirm_link("Confirm that it is you", f"/{page}") if person.can_confirm else ""
    show_html(
        f'<div class="cb-person"><div><b>{theme.text(person.name)}</b> {theme.chip(person.role, "info")}</div>'
        f'<form method="post" action="/-/sign-out"><button type="submit">Sign out</button></form>{again}</div>'
    )


def show_trouble(here: SignedIn) -> None:
    """Say what can still be done while the accounts cannot be read."""
    if not here.is_known:
        st.error(
            "The accounts cannot be read: nobody can sign in, and of all acts only pause, reduce and kill work here. "
            "At the terminal `crossbook trade kill` stops trading, and `crossbook doctor` says what to do.",
            icon=":material/key_off:",
        )


def show_sign_in() -> None:
    """Draw what a page shows to nobody."""
    show_html(
        theme.empty("Nobody is signed in.", "The command `crossbook login` prints a link that signs you in.")
        + '<p><a href="/-/sign-in" target="_self">Sign in</a></p>'
    )
