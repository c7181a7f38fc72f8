"""How an account keeps who a person is at an OpenID Connect provider. Pure."""

from __future__ import annotations


def subject_of(issuer: str, sub: str) -> str:
    """Return how an account keeps a person of a provider."""
    return f"{issuer} {sub}"


def subject_of_email(issuer: str, email: str) -> str:
    """Return how an account keeps a person of a provider who has not signed in yet; no `sub` can look like it."""
    return f"mailto:{email.strip().lower()} {issuer}"


def is_of_issuer(subject: str | None, issuer: str) -> bool:
    """Whether a provider may sign a person in: none may where no issuer is set, or the person is another one's."""
    if not subject or not issuer:
        return False
    return subject.startswith(f"{issuer} ") or (subject.startswith("mailto:") and subject.endswith(f" {issuer}"))
