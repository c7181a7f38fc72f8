"""What a GraphQL request to Dagster would do, by its parsed operations. Pure.

Whoever may not change anything gets through only what is certain to read: one plain JSON object, or one query in the
address, whose whole document parses and has no mutation in it, whichever operation its name would choose.
"""

from __future__ import annotations

import json
from functools import lru_cache
from typing import Any
from urllib.parse import parse_qsl

import orjson
from graphql import GraphQLError, OperationType, parse
from graphql.language import OperationDefinitionNode

_TOKENS_MAX = 10_000
"""Of one document: Dagster's longest page asks with some three thousand."""
_LENGTH_MAX = 100_000
"""Characters of one document."""
_FIELDS = frozenset({"query", "variables", "operationName", "extensions", "id"})
_TALK = frozenset({"connection_init", "connection_terminate", "stop", "complete", "ping", "pong"})
"""Messages of the two GraphQL protocols over WebSocket that start nothing."""
_STARTS = frozenset({"start", "subscribe"})


class Ambiguous(ValueError):
    """A request that does not say for certain what it would do; the message says why."""


def is_json(content_types: list[str]) -> bool:
    """Whether a body is declared to be JSON, and nothing besides."""
    return len(content_types) == 1 and content_types[0].partition(";")[0].strip().lower() == "application/json"


def check_address(query: bytes) -> None:
    """Make sure that a query in the address, if there is one, only reads.

    Raises:
        Ambiguous: If it does not, or that is not certain.
    """
    try:
        fields = parse_qsl(query.decode("ascii"), keep_blank_values=True, strict_parsing=bool(query))
    except ValueError:
        raise Ambiguous("the address cannot be read") from None
    names = [name for name, _ in fields if name in _FIELDS]
    if len(names) != len(set(names)):
        raise Ambiguous("the address says something twice")
    for name, value in fields:
        if name == "query":
            check_document(value)


def has_document(query: bytes) -> bool:
    """Whether an address carries what belongs into the body of a request."""
    names = {name for name, _ in parse_qsl(query.decode("latin-1"), keep_blank_values=True)}
    return not names.isdisjoint({"query", "variables", "operationName", "extensions"})


def check_body(body: bytes) -> None:
    """Make sure that the JSON body of a request only reads.

    Raises:
        Ambiguous: If it does not, or that is not certain.
    """
    _check_request(_object(body))


def check_message(message: str | bytes | None) -> None:
    """Make sure that a message over a WebSocket starts nothing but reads.

    Raises:
        Ambiguous: If it does, or that is not certain.
    """
    if not isinstance(message, str):
        raise Ambiguous("a message is text")
    document = _object(message.encode())
    kind = document.get("type")
    if not isinstance(kind, str):
        raise Ambiguous("a message without a kind")
    if kind in _STARTS:
        payload = document.get("payload")
        if not isinstance(payload, dict):
            raise Ambiguous("an operation has no payload")
        _check_request({name: value for name, value in payload.items() if name != "operation_name"})
    elif kind not in _TALK:
        raise Ambiguous("a message of a kind that is not known")


def check_document(text: str) -> None:
    """Make sure that a document has no mutation.

    Raises:
        Ambiguous: If it has one, or cannot be parsed.
    """
    if len(text) > _LENGTH_MAX:
        raise Ambiguous("the document is too long")
    _check_document(text)


@lru_cache(maxsize=256)
def _check_document(text: str) -> None:
    try:
        document = parse(text, no_location=True, max_tokens=_TOKENS_MAX)
    except (GraphQLError, RecursionError, UnicodeError):
        raise Ambiguous("the document cannot be parsed") from None
    operations = [part.operation for part in document.definitions if isinstance(part, OperationDefinitionNode)]
    if not operations:
        raise Ambiguous("the document has no operation")
    if OperationType.MUTATION in operations:
        raise Ambiguous("it would change something")


def _check_request(document: dict[str, Any]) -> None:
    unknown = set(document) - _FIELDS
    if unknown:
        raise Ambiguous("it has fields that are not known")
    extensions = document.get("extensions") or {}
    if not isinstance(extensions, dict) or "persistedQuery" in extensions:
        raise Ambiguous("stored documents are not taken")
    if not isinstance(document.get("query"), str):
        raise Ambiguous("it has no document")
    check_document(document["query"])


def _object(body: bytes) -> dict[str, Any]:
    try:
        text = body.decode("utf-8")
        orjson.loads(body)  # refuses what nests too deep for the stack, whatever Python's limit of recursion is
        document = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise error if isinstance(error, Ambiguous) else Ambiguous("it is no JSON") from None
    if not isinstance(document, dict):
        raise Ambiguous("it is not one request")
    return document


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    names = {name for name, _ in pairs}
    if len(names) != len(pairs):
        raise Ambiguous("a name stands twice")
    return dict(pairs)
