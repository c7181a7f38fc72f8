"""Names: which can stand under an act, which look like another, and which are the system's."""

from __future__ import annotations

import getpass
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.doors.names import SYSTEM_NAMES, UnusableName, checked_name, folded_name, looks_alike
from app.doors.shell import shell_name


@pytest.mark.parametrize(
    "name",
    ["Ada", "ada.lovelace", "ada@example.com", "Zoë", "Søren Å", "O'Neil-Smith", "Мария", "Ελένη Νίκου",
     "王小明", "김철수",
     "山田 Taro", "ひろし", "محمد", "שרה", "प्रिया", "Nguyễn Văn", "svc+deploy$", "user1", "Łukasz",
     "José (ops)", "Əli", "Мария Smith"],
)  # fmt: skip
def test_names_of_people_everywhere_are_taken(name: str) -> None:
    assert checked_name(f"  {name} ") == unicodedata.normalize("NFC", name)
    assert looks_alike(name, name.upper())
    assert looks_alike(name, unicodedata.normalize("NFD", name))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("ada", "Ada"), ("ada", "аdа"), ("ada", "αda"), ("ada", "ａｄａ"), ("ada", "𝐚𝐝𝐚"), ("bob", "b0b"),
        ("bob", "вов"),
        ("bob", "BOB"), ("ian", "lan"), ("ian", "1an"), ("ali", "aII"), ("ali", "a|i"), ("marc", "rnarc"),
        ("ada", "ada."),
        ("ada", "ada…"), ("ada", "_ada"), ("ada", "'ada'"), ("ada", "a\u200bda"), ("ada", "a\u034fda"),
        ("ada", "a\u00adda"),
        ("o'neil", "o’neil"), ("a-b", "a‐b"), ("ada b", "ada  b"), ("ada b", "ada\u00a0b"), ("ada", "ᴀᴅᴀ"),
        ("niko", "ΝΙΚΟ"),
        ("ava", "ανα"), ("ana", "ΑΝΑ"), ("peter", "реtег"), ("hans", "һапѕ"), ("ivo", "іvо"), ("ian", "ı̇an"),
        ("ana", "апа"),
        ("ana", "աna".replace("ա", "a")),
    ],
)  # fmt: skip
def test_names_that_look_alike_are_known(one: str, other: str) -> None:
    assert looks_alike(one, other)
    assert looks_alike(other, one)


@pytest.mark.parametrize(
    ("one", "other"),
    [("ada", "adam"), ("zoe", "zoë"), ("j.smith", "jsmith"), ("анна", "anna"), ("ben", "dan"), ("王", "玉"),
     ("bob 1", "bob 2")],
)  # fmt: skip
def test_names_that_differ_to_the_eye_are_two(one: str, other: str) -> None:
    assert not looks_alike(one, other)


@pytest.mark.parametrize("name", sorted(SYSTEM_NAMES))
def test_the_system_s_names_and_what_looks_like_them_are_nobody_s(name: str) -> None:
    lookalikes = str.maketrans("aoeisp", "аоеіѕр")
    for shown in (name, name.upper(), f" {name}. ", name.translate(lookalikes), name.replace("s", "ѕ"), f"'{name}'"):
        with pytest.raises(UnusableName, match="system's own"):
            checked_name(shown)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("", "who you are"), (" \t", "who you are"), ("...", "letter"), ("x" * 81, "80"), ("a\u202eb", "printable"),
        ("a\u200db", "printable"), ("a\x00b", "printable"), ("ada\ufe0f", "printable"), ("a\u3164", "printable"),
        ("\ud800", "printable"), ("Paуpal", "scripts"), ("Αda", "scripts"), ("аdа", "scripts"), ("ᎪᎠᎪ", "not in use"),
        ("ꓮꓓꓮ", "not in use"), ("a\u0301\u0302\u0303", "no name needs"), ("\u0301a", "no name needs"),
        ("Ada ✓", "no name needs"), ("Ada 🚀", "no name needs"),
    ],
)  # fmt: skip
def test_what_can_be_no_name_is_refused(name: str, why: str) -> None:
    with pytest.raises(UnusableName, match=why):
        checked_name(name)


@given(st.text(max_size=100))
def test_any_text_is_a_name_or_refused_and_stays_the_same_name(text: str) -> None:
    folded = folded_name(text)
    assert looks_alike(text, text)
    try:
        shown = checked_name(text)
    except UnusableName:
        return
    assert checked_name(shown) == shown
    assert folded_name(shown) == folded


@pytest.mark.parametrize(
    ("login", "name"),
    [
        ("mara", "mara"),
        ("crossbook", "shell crossbook"),
        ("Backup", "shell Backup"),
        ("\u202e", "shell"),
        ("", "shell"),
    ],
)
def test_the_shell_s_user_always_has_a_name_that_can_stand_in_rows(
    monkeypatch: pytest.MonkeyPatch, login: str, name: str
) -> None:
    monkeypatch.setattr(getpass, "getuser", lambda: login)
    assert shell_name() == name
    assert checked_name(name) == name
