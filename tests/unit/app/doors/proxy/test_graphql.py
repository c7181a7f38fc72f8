"""What passes to Dagster for those who may only read: what is certain to read, and nothing else."""

from __future__ import annotations

import json
from typing import Any

import pytest

from app.doors.proxy.decisions import graphql
from app.doors.proxy.decisions.graphql import Ambiguous

READS = [
    "{ runs { id } }",
    "query { runs { id } }",
    "query A { a } query B { b }",
    "subscription S { logs }",
    "fragment F on Run { id } query { runs { ...F } }",
    "\ufeff{ a }",
    "# mutation { a }\n{ a }",
    '{ a(text: "mutation { b }") }',
    "{ mutation: a }",
    "query mutation { mutation }",
]
CHANGES = [
    "mutation { stop }",
    "mutation M { stop }",
    "query A { a } mutation B { stop }",
    "mutation B { stop } query A { a }",
    "fragment F on Mutation { stop } mutation { ...F }",
    ",,,\t\n mutation { stop }",
    "#\n#\rmutation{stop}",
    "{ a } mutation { stop }",
    "mutation @skip(if: true) { stop }",
]
UNCLEAR = [
    "", " ", "{", "fragment F on Run { id }", "type Query { a: Int }", "mutatio\\u006e { a }", "{ a } }", "query { }",
    "\u200bmutation { a }", "{" * 5000, "{ a }" + " b" * 20_000, "{ a }#" + "x" * 200_000,
]  # fmt: skip


@pytest.mark.parametrize("text", READS)
def test_a_document_that_only_reads_passes(text: str) -> None:
    graphql.check_document(text)
    graphql.check_body(json.dumps({"query": text}).encode())


@pytest.mark.parametrize("text", CHANGES + UNCLEAR)
@pytest.mark.parametrize("name", [None, "A", "B", "M"])
def test_a_document_that_changes_or_cannot_be_read_does_not_whichever_operation_is_named(
    text: str, name: str | None
) -> None:
    with pytest.raises(Ambiguous):
        graphql.check_body(json.dumps({"query": text, "operationName": name}).encode())


GOOD = '{"query": "{ a }", "variables": {"a": 1}, "operationName": null, "extensions": {"clientLibrary": {}}}'


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"{ a }"', b"{", b'{"query": "{ a }"',
        b'[{"query": "{ a }"}]',
        b'{"query": "{ a }", "query": "mutation { a }"}',
        b'{"query": "{ a }", "variables": {"a": 1, "a": 2}}',
        b'{"query": ["{ a }"]}', b'{"query": null}', b"{}", b'{"id": "abc"}',
        b'{"query": "{ a }", "extensions": {"persistedQuery": {"sha256Hash": "x"}}}',
        b'{"query": "{ a }", "extensions": [1]}',
        b'{"query": "{ a }", "documentId": "x"}',
        b'{"query": "{ a }", "Query": "mutation { a }"}',
        b"\xef\xbb\xbf" + GOOD.encode(),
        GOOD.encode("utf-16"), GOOD.encode("utf-32"), GOOD.encode("utf-16-le"),
        b'{"query": "{ a \xff }"}',
        b"query=%7B+a+%7D",
        b"[" * 100_000,
    ],
)  # fmt: skip
def test_a_body_with_two_meanings_does_not_pass(body: bytes) -> None:
    graphql.check_body(GOOD.encode())
    with pytest.raises(Ambiguous):
        graphql.check_body(body)


@pytest.mark.parametrize(
    ("query", "passes"),
    [
        (b"", True),
        (b"op=Runs", True),
        (b"query=%7B%20a%20%7D", True),
        (b"query=%7Ba%7D&variables=%7B%7D", True),
        (b"query=mutation%7Ba%7D", False),
        (b"query=%6dutation%7Ba%7D", False),
        (b"query=%7Ba%7D&query=mutation%7Ba%7D", False),
        (b"query=mutation%7Ba%7D&query=%7Ba%7D", False),
        (b"query=%7Ba%7D&operationName=A&operationName=B", False),
        (b"query=", False),
        (b"query", False),
        (b"%71uery=mutation%7Ba%7D", False),
        (b"query=%ff%fe", False),
        (b"\xff=1", False),
    ],
)
def test_an_address_only_reads(query: bytes, *, passes: bool) -> None:
    if passes:
        graphql.check_address(query)
    else:
        with pytest.raises(Ambiguous):
            graphql.check_address(query)


@pytest.mark.parametrize(
    ("message", "passes"),
    [
        ({"type": "connection_init", "payload": {}}, True),
        ({"type": "ping"}, True),
        ({"type": "stop", "id": "1"}, True),
        ({"type": "start", "id": "1", "payload": {"query": "subscription { a }", "variables": {}}}, True),
        ({"type": "subscribe", "id": "1", "payload": {"query": "{ a }", "operationName": "A"}}, True),
        ({"type": "start", "id": "1", "payload": {"query": "mutation { a }"}}, False),
        ({"type": "subscribe", "id": "1", "payload": {"query": "mutation { a }"}}, False),
        ({"type": "start", "id": "1", "payload": {"query": "{ a } mutation B { b }", "operation_name": "B"}}, False),
        ({"type": "start", "id": "1", "payload": "{ a }"}, False),
        ({"type": "start", "id": "1"}, False),
        ({"type": "START", "payload": {"query": "mutation { a }"}}, False),
        ({"payload": {"query": "{ a }"}}, False),
        ({"type": ["start"], "payload": {"query": "{ a }"}}, False),
        ([], False),
    ],
)
def test_a_message_starts_only_reads(message: Any, *, passes: bool) -> None:
    text = json.dumps(message)
    if passes:
        graphql.check_message(text)
    else:
        with pytest.raises(Ambiguous):
            graphql.check_message(text)


@pytest.mark.parametrize("message", [None, b"{}", "", "\ufeff{}", '{"type": "ping", "type": "start"}'])
def test_a_message_that_cannot_be_read_does_not_pass(message: str | bytes | None) -> None:
    with pytest.raises(Ambiguous):
        graphql.check_message(message)


@pytest.mark.parametrize(
    ("types", "is_json"),
    [
        (["application/json"], True),
        (["application/json; charset=utf-8"], True),
        (["APPLICATION/JSON"], True),
        ([], False),
        (["text/plain"], False),
        (["text/plain; a=application/json"], False),
        (["application/graphql"], False),
        (["multipart/form-data; boundary=application/json"], False),
        (["application/x-www-form-urlencoded"], False),
        (["application/json, text/plain"], False),
        (["application/json", "text/plain"], False),
    ],
)
def test_only_json_is_json(types: list[str], *, is_json: bool) -> None:
    assert graphql.is_json(types) == is_json
