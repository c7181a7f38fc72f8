"""Who acts and why, as they can stand in a row, and what refuses an act."""

from __future__ import annotations

from app.doors import names

REASON_MAX = 1000
_JOINERS = dict.fromkeys((0x200C, 0x200D))
"""Signs without width that words of some languages need."""


class ActRefused(ValueError):
    """A decision that cannot be written; the message says what to do."""


class UnusableName(ActRefused):
    """The name cannot stand under a decision."""


class UnusableReason(ActRefused):
    """The reason cannot stand under a decision."""


class ItChanged(ActRefused):
    """The object is no longer what the person saw; look again."""


class TextsChanged(ItChanged):
    """The market texts changed after the person read them; read them again."""


class UnknownSubject(ActRefused):
    """There is no group, market or trade of that id."""


def person_of(who: str) -> str:
    """Return a person's name as it stands under an act.

    Raises:
        UnusableName: If it is empty, too long, or the system's own.
    """
    try:
        return names.checked_name(who)
    except names.UnusableName as error:
        raise UnusableName(str(error)) from None


def reason_of(reason: str, *, is_kill: bool = False, ask: str = "") -> str:
    """Return a reason as one line.

    Args:
        reason: In the person's words.
        is_kill: A kill is never refused because of its reason: what cannot stand in a row is left out.
        ask: What to say to a person who gives none; empty where none is needed.

    Raises:
        UnusableReason: If it cannot stand in a row, or is missing.
    """
    text = " ".join(reason.split())
    if is_kill:
        return "".join(sign for sign in text if sign.isprintable())[:REASON_MAX]
    if ask and not text:
        raise UnusableReason(ask)
    if len(text) > REASON_MAX or not text.translate(_JOINERS).isprintable():
        raise UnusableReason(f"The reason must be at most {REASON_MAX} printable characters.")
    return text
