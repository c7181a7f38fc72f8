"""A reference page at /docs made from the OpenAPI document, without scripts or anything from another machine."""

from __future__ import annotations

from html import escape
from typing import Any

from app.api.acts import TOKEN_SCHEME
from app.doors.roles import Act, lowest_role

_STYLE = """
body{font:15px/1.55 "Source Sans 3",system-ui,sans-serif;color:#1B2333;max-width:960px;margin:2rem auto;padding:0 1rem}
section{border:1px solid #E1E6EF;border-radius:.6rem;padding:.8rem 1.1rem;margin:.9rem 0}
code{font:13px/1.5 ui-monospace,monospace}h2{font-size:1.02rem;margin:.1rem 0}
.get{color:#12805C}.post{color:#B76E00}table{border-collapse:collapse;width:100%;font-size:.9rem}
td,th{text-align:left;padding:.25rem .6rem;border-bottom:1px solid #EFF2F7;vertical-align:top}
th{color:#68738A;font-weight:600}
"""


def reference_page(document: dict[str, Any]) -> str:
    """Return the page for an OpenAPI document."""
    title = escape(str(document["info"]["title"]))
    intro = escape(str(document["info"].get("description", "")))
    parts = [
        _operation(path, method, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title} API</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title} API</h1><p>{intro} The machine-readable document is at "
        f'<a href="/openapi.json">/openapi.json</a>.</p>{"".join(parts)}<h1>Types</h1>{schemas}</body></html>'
    )


def _operation(path: str, method: str, operation: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(entry['name'])}</code></td><td>{escape(entry['in'])}</td>"
        f"<td><code>{escape(_kind(entry['schema']))}</code></td><td>{escape(entry.get('description', ''))}</td></tr>"
        for entry in operation.get("parameters", [])
    )
    table = f"<table><tr><th>Parameter</th><th>In</th><th>Type</th><th>Meaning</th></tr>{rows}</table>" if rows else ""
    body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
    takes = f"<p>Body: <code>{escape(_kind(body))}</code></p>" if body else ""
    secured = _security(operation["security"])
    answer = next(
        (
            _kind(response["content"]["application/json"]["schema"])
            for status, response in operation["responses"].items()
            if status.startswith("2")
        ),
        "nothing",
    )
    return (
        f'<section><h2><span class="{escape(method)}">{escape(method.upper())}</span> <code>{escape(path)}</code></h2>'
        f"<p>{escape(operation.get('description', ''))}</p>{secured}{table}{takes}"
        f"<p>Answers <code>{escape(answer)}</code></p></section>"
    )


def _security(alternatives: list[dict[str, list[str]]]) -> str:
    """Return who may: an empty alternative lets everybody."""
    if {} in alternatives:
        return "<p>A read, open without a token.</p>"
    (scope,) = alternatives[0][TOKEN_SCHEME]
    return f"<p>Needs a token of the scope <code>{scope}</code>, for {lowest_role(Act(scope))}s and above.</p>"


def _schema(name: str, schema: dict[str, Any]) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(field)}</code></td><td><code>{escape(_kind(kind))}</code></td>"
        f"<td>{escape(kind.get('description', ''))}</td></tr>"
        for field, kind in schema.get("properties", {}).items()
    )
    meaning = escape(schema.get("description", ""))
    return (
        f"<section id='{escape(name)}'><h2><code>{escape(name)}</code></h2><p>{meaning}</p>"
        f"<table><tr><th>Field</th><th>Type</th><th>Meaning</th></tr>{rows}</table></section>"
    )


def _kind(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        return str(schema["$ref"]).rsplit("/", 1)[-1]
    if "anyOf" in schema:
        return " or ".join(_kind(part) for part in schema["anyOf"])
    if "enum" in schema:
        return " | ".join(str(value) for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_kind(schema.get('items', {}))}"
    return str(schema.get("format") or schema.get("type") or "any")
