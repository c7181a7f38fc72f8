"""Which row of a list is chosen: held by its id, never by its place, and kept in the page's address.

A table tells which row was clicked by its place. The click is turned into an id by the list that was on the screen at
that moment, and the table of another list is another table: a row that arrives, vanishes or moves changes nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from streams.inert import in_markdown

_ID_LENGTH_MAX = 200


@dataclass(frozen=True, slots=True)
class Choice:
    """The chosen row. `is_listed`: the list on the screen has it; `place`: where, None when it has not."""

    row_id: str
    place: int | None

    @property
    def is_listed(self) -> bool:
        """Whether the list on the screen has it."""
        return self.place is not None


def hold(name: str, ids: Sequence[str], *, first: bool = True) -> Choice | None:
    """Return what is chosen in the list `name`; None when nothing is.

    The id stays chosen until a person chooses another one, also where the list no longer has it.

    Args:
        name: Of the list, and of the parameter in the page's address that names the chosen row.
        ids: Of the rows that are shown, in their order.
        first: Choose the first row where nothing is chosen yet.
    """
    held = st.session_state.get(_slot(name))
    if held is None:
        held = _from_address(name) or (ids[0] if first and ids else None)
    if held is None:
        return None
    st.session_state[_slot(name)] = held
    return Choice(held, ids.index(held) if held in ids else None)


def table_options(name: str, ids: Sequence[str], choice: Choice | None) -> dict[str, Any]:
    """Return the options of `st.dataframe` that let a person choose one of the rows with these ids."""
    options: dict[str, Any] = {
        "on_select": _chooser(name, tuple(ids), _table_key(name, ids)),
        "selection_mode": "single-row",
        "key": _table_key(name, ids),
    }
    if choice is not None and choice.place is not None:
        options["selection_default"] = {"selection": {"rows": [choice.place]}}
    return options


def pick(
    place: DeltaGenerator, label: str, name: str, ids: Sequence[str], *, first: str, words: Callable[[str], str]
) -> str:
    """Draw a box in which one of these ids is chosen, and return the chosen id, whether the list has it or not.

    Args:
        place: Where the box is drawn.
        label: Of the box.
        name: Of the list, as for `hold`.
        ids: In their order; at least one.
        first: The one that is chosen where nothing is chosen yet.
        words: What the box shows for an id.
    """
    choice = hold(name, (first, *ids))
    assert choice is not None  # there are ids
    key = _table_key(f"{name}-box", ids)

    def take_up() -> None:
        if (picked := st.session_state[key]) is not None:
            choose(name, picked)

    listed = ids.index(choice.row_id) if choice.row_id in ids else None
    place.selectbox(label, ids, index=listed, format_func=words, key=key, on_change=take_up)
    if listed is None:
        place.caption(f"{in_markdown(choice.row_id)} is chosen and not in this list.")
    return choice.row_id


def choose(name: str, row_id: str) -> None:
    """Choose a row, and name it in the page's address so that a link or a reload shows it again."""
    st.session_state[_slot(name)] = row_id
    st.query_params[name] = row_id


def _chooser(name: str, ids: tuple[str, ...], key: str) -> Callable[[], None]:
    """Return what takes up a click in the table of just these ids."""

    def take_up() -> None:
        rows = st.session_state[key]["selection"]["rows"]
        if rows and rows[0] < len(ids):
            choose(name, ids[rows[0]])

    return take_up


def _table_key(name: str, ids: Sequence[str]) -> str:
    # The chosen row is no part of it: a click must not make the table a new one.
    return f"{name}-table-{hashlib.sha256('|'.join(ids).encode()).hexdigest()[:12]}"


def _from_address(name: str) -> str | None:
    """Return the id in the page's address, None where there is none or it is nothing that an id could be."""
    asked = st.query_params.get(name) or ""
    return asked if asked and asked.isprintable() and len(asked) <= _ID_LENGTH_MAX else None


def _slot(name: str) -> str:
    return f"chosen-{name}"
