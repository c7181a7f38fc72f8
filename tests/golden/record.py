"""Carries a script out and writes down what the emulators said: one JSON line per answer and per frame, in order."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from tests.golden.stage import START_MS, Answer, Stage, Subscriber, smart_wallet, stage

Step = tuple[Any, ...]
"""One step of a script, by its first word:

    (port, who signs, "METHOD /target", body?, "name=path.in.the.answer"?, {headers}?)
    ("wait", milliseconds)
    ("listen", name, port, who signs, path)    a socket under a name
    ("say", name, message)                     what its client sends
    ("hang up", name)
    ("raw", port, text)                        bytes instead of a request
    ("late markets",)                          two more markets are listed at the next step
    ("full disk", true or false)

`$name` in a text is what an earlier answer gave under that name. Bodies may hold {"$order": [side, maker, taker], ...},
{"$transaction": [kind, calls, nonce], ...}, {"$chain": [...]}, {"$raw": [...]}, {"$wallet": kind}, {"$now": seconds}
and {"$text": text}.
"""


class Recorder:
    """One script on one stage."""

    def __init__(self, on: Stage) -> None:
        self._stage = on
        self._names: dict[str, str] = {}
        self._sockets: dict[str, Subscriber] = {}
        self.lines: list[dict[str, Any]] = []

    def run(self, steps: Iterable[Step]) -> list[dict[str, Any]]:
        """Carry out all steps; the lines."""
        for step in steps:
            self._step(step)
            self._hear()
        return self.lines

    def _step(self, step: Step) -> None:
        kind = step[0]
        if kind == "wait":
            self._stage.advance(step[1])
        elif kind == "listen":
            _, name, port, by, path = step
            opened = self._stage.listen(port, path, self._filled(by))
            if isinstance(opened, Answer):
                self._note(f"{port} LISTEN {path}", by, opened)
            else:
                self._sockets[name] = opened
        elif kind == "say":
            self._sockets[step[1]].send(self._filled(step[2]))
        elif kind == "hang up":
            self._sockets.pop(step[1]).close()
        elif kind == "raw":
            self._note(f"{step[1]} RAW", "", self._stage.exchange(step[1], step[2].encode()))
        elif kind == "late markets":
            self._stage.list_late()
        elif kind == "full disk":
            self._stage.disk.is_full = step[1]
        else:
            self._ask(*step)

    def _ask(
        self, port: str, by: str, line: str, body: Any = None, saves: str = "", headers: dict[str, str] | None = None
    ) -> None:
        method, _, target = self._filled(line).partition(" ")
        answer = self._stage.ask(port, method, target, self._filled(body), self._filled(by), **headers or {})
        self._note(f"{port} {method} {target}", by if not by.startswith("$") else "builder", answer)
        for save in saves.split():
            name, _, path = save.partition("=")
            value = json.loads(answer.body)
            for part in path.split(".") if path else ():
                value = value[int(part)] if isinstance(value, list) else value[part]
            self._names[name] = value if isinstance(value, str) else json.dumps(value)

    def _note(self, asked: str, by: str, answer: Answer) -> None:
        line: dict[str, Any] = {"ms": self._stage.now_ms - START_MS, "ask": asked, "by": by, "status": answer.status}
        headers = {name: value for name, value in answer.headers.items() if value != "application/json"}
        self.lines.append(line | ({"headers": headers} if headers else {}) | {"body": answer.body.decode()})

    def _hear(self) -> None:
        for name, socket in self._sockets.items():
            now = self._stage.now_ms - START_MS
            self.lines += [{"ms": now, "socket": name, "frame": frame.decode()} for frame in socket.take()]

    def _filled(self, value: Any) -> Any:
        """Put names and signed things where a script asks for them."""
        if isinstance(value, str):
            for name in sorted(self._names, key=len, reverse=True):
                value = value.replace(f"${name}", self._names[name])
            return value
        if isinstance(value, list):
            return [self._filled(one) for one in value]
        if not isinstance(value, dict):
            return value
        filled = {name: self._filled(one) for name, one in value.items()}
        makers = {
            "$order": self._stage.signer.order, "$transaction": self._stage.signer.transaction,
            "$chain": self._stage.signer.chain_call, "$raw": self._stage.signer.raw_transaction,
            "$wallet": smart_wallet, "$now": lambda seconds: self._stage.now_ms // 1000 + seconds,
            "$now_text": lambda seconds: str(self._stage.now_ms // 1000 + seconds), "$text": str,
        }  # fmt: skip
        for name, make in makers.items():
            if name in filled:
                given = filled.pop(name)
                return make(*(given if isinstance(given, list) else [given]), **filled)
        return filled


def recorded(home: Path, settings: dict[str, Any], steps: Iterable[Step]) -> list[dict[str, Any]]:
    """What a script brings on a fresh stage."""
    with stage(home, **settings) as on:
        return Recorder(on).run(steps)
