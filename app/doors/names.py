"""Names of people: which can stand under an act, and when two look alike. Pure.

What looks alike is taken from Unicode TR39 (confusables, mixed scripts), cut down to the scripts in use today whose
letters are drawn like Latin ones.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Mapping

NAME_MAX = 80
SYSTEM_NAMES = frozenset(
    {"sandbox", "migration", "supervisor", "backup", "restore", "disk", "crossbook", "system", "breaker"}
)
"""Who writes the rows nobody decided: automatic approvals, the first switch, and the switches of a stop, a backup, a
restore, a full disk and a circuit breaker. A person called `backup` or `disk` would see their own pause lifted by
itself."""

_LOOK_LIKE: Mapping[str, str] = {
    "a": "аɑα", "b": "вьβ", "c": "сϲ", "d": "ԁ", "e": "еєεҽ℮", "f": "ғ", "g": "ɡցԍ", "h": "нһհη", "j": "јϳ",
    "k": "кκ", "l": "i1|ıіɩιӏǀ", "n": "пոν", "o": "0оοօס०೦๐໐", "p": "рρ", "q": "ԛզգ", "r": "г", "s": "ѕƽꜱ",
    "t": "тτ", "u": "սʋ", "v": "ѵ", "w": "ԝѡա", "x": "хχ", "y": "уүγυყ", "z": "ζ", "rn": "mмμ",
    "-": "‐‑‒–−⁃", "'": "’‘ʼʻ`´",
}  # fmt: skip
_FOLDS = {ord(sign): shown for shown, signs in _LOOK_LIKE.items() for sign in signs}
_LOWER_CASE_FOLDS = _FOLDS | {ord("η"): "n", ord("ν"): "v", ord("υ"): "u", ord("μ"): "u", ord("п"): "n"}
"""Letters whose small form looks like another Latin letter than the capital does."""
_SMALL_CAPITAL = re.compile(r"LATIN LETTER SMALL CAPITAL ([A-Z])$")
_SOFT_DOT = "\u0307"

_SCRIPTS = {
    "LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "HEBREW", "ARABIC", "DEVANAGARI", "BENGALI", "GURMUKHI", "GUJARATI",
    "ORIYA", "TAMIL", "TELUGU", "KANNADA", "MALAYALAM", "SINHALA", "THAI", "LAO", "TIBETAN", "MYANMAR", "GEORGIAN",
    "ETHIOPIC", "KHMER", "THAANA", "CJK", "HIRAGANA", "KATAKANA", "BOPOMOFO", "HANGUL",
}  # fmt: skip
"""The recommended scripts of Unicode Annex 31, table 5."""
_TOGETHER = (
    frozenset({"LATIN", "CJK", "HIRAGANA", "KATAKANA"}),
    frozenset({"LATIN", "CJK", "BOPOMOFO"}),
    frozenset({"LATIN", "CJK", "HANGUL"}),
)
"""Scripts that stand in one word in real names (TR39, 5.2, highly restrictive)."""
_UNSEEN = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
"""Signs that are printable as Python counts, and that nobody sees."""
_MARKS_MAX = 2
_BETWEEN_WORDS = re.compile(r"[\W\d_]+")


class UnusableName(ValueError):
    """A name that cannot be a person's; the message says why."""


def checked_name(name: str) -> str:
    """Return a name as it is stored, with single spaces.

    Raises:
        UnusableName: If it is empty, too long, not printable, mixes scripts, or is the system's own or looks like it.
    """
    shown = unicodedata.normalize("NFC", " ".join(name.split()))
    if not shown:
        raise UnusableName("Say who you are: a decision carries a person's name.")
    if len(shown) > NAME_MAX or not shown.isprintable() or _UNSEEN.search(shown):
        raise UnusableName(f"The name must be at most {NAME_MAX} printable characters.")
    if not any(sign.isalnum() for sign in shown):
        raise UnusableName("The name needs a letter or a digit.")
    if not _readings(shown).isdisjoint(SYSTEM_READINGS):
        raise UnusableName(f"The name {shown} is the system's own, or looks like it; use yours.")
    _check_signs(shown)
    return shown


def folded_name(name: str) -> str:
    """Return what a name and the same one in other capitals share, and most of those that look like it."""
    return _skeleton(name, _FOLDS)


def looks_alike(one: str, other: str) -> bool:
    """Whether a person may take one name for the other."""
    return not _readings(one).isdisjoint(_readings(other))


def reason_for(reason: str, who: str, name: str) -> str:
    """Return why `who` does something, with the name of the person they do it for where that is somebody else.

    Raises:
        UnusableName: If no person can have that name.
    """
    if not name.strip() or folded_name(name) == folded_name(who):
        return reason
    return f"{reason} (for {checked_name(name)})".strip()


def _readings(name: str) -> frozenset[str]:
    return frozenset({_skeleton(name, _FOLDS), _skeleton(name, _LOWER_CASE_FOLDS)})


def _skeleton(name: str, folds: Mapping[int, str]) -> str:
    folded = unicodedata.normalize("NFKC", " ".join(name.split())).casefold().translate(folds)
    plain = "".join(_latin(sign) for sign in _UNSEEN.sub("", folded) if sign.isprintable())
    whole = unicodedata.normalize("NFD", plain).replace(_SOFT_DOT, "").translate(folds)
    # What is neither letter nor digit at an end is overlooked; a name of nothing else stays as it is.
    is_seen = [unicodedata.category(sign)[0] in "LMN" for sign in whole]
    if True not in is_seen:
        return whole
    return whole[is_seen.index(True) : len(whole) - is_seen[::-1].index(True)]


@functools.lru_cache(1024)
def _latin(sign: str) -> str:
    """Return a letter that is drawn as a small capital as the letter it is."""
    found = _SMALL_CAPITAL.match(unicodedata.name(sign, ""))
    return found[1].lower() if found else sign


SYSTEM_READINGS = frozenset().union(*(_readings(name) for name in SYSTEM_NAMES))


def _check_signs(shown: str) -> None:
    """Refuse words of several scripts, scripts that few can read, and heaps of marks."""
    for word in _BETWEEN_WORDS.split(unicodedata.normalize("NFKC", shown)):
        scripts = {_script(sign) for sign in word} - {""}
        if not scripts <= _SCRIPTS:
            raise UnusableName(f"The name {shown} holds letters of a script that is not in use for names.")
        if len(scripts) > 1 and not any(scripts <= together for together in _TOGETHER):
            raise UnusableName(f"The name {shown} mixes letters of several scripts in one word.")
    marks = 0
    for place, sign in enumerate(unicodedata.normalize("NFD", shown)):
        kind = unicodedata.category(sign)
        marks = marks + 1 if kind in ("Mn", "Me") else 0
        is_odd = not sign.isascii() and kind[0] in "SP" and ord(sign) not in _FOLDS
        if marks > _MARKS_MAX or is_odd or (marks and place == 0):
            raise UnusableName(f"The name {shown} holds signs that no name needs.")


def _script(sign: str) -> str:
    """Return the script of a letter, as the first word of its name; empty for what belongs to all."""
    if unicodedata.category(sign) not in ("Lu", "Ll", "Lt", "Lo"):
        return ""
    return unicodedata.name(sign, "UNKNOWN").partition(" ")[0].partition("-")[0]
