"""The reference part of docs/warehouse.md, made from the descriptions in the dbt project. Knows nothing of Dagster.

`python -m orchestration.dbt.reference` writes it between the two markers; a test holds the page to it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from orchestration.dbt.project import PROJECT_DIR, manifest_path, prepare
from streams.settings import PROJECT_ROOT, load_settings

PAGE = PROJECT_ROOT / "docs" / "warehouse.md"
BEGIN = "<!-- reference: begin (python -m orchestration.dbt.reference) -->"
END = "<!-- reference: end -->"


def render_reference(manifest: Mapping[str, Any]) -> str:
    """Return the reference of all marts, with their columns, and the list of the models below them."""
    models = [node for node in manifest["nodes"].values() if node["resource_type"] == "model"]
    lines: list[str] = []
    for layer, title in (("marts", "Marts"), ("intermediate", "Intermediate"), ("staging", "Staging")):
        lines += [f"### {title}", ""]
        for node in sorted((node for node in models if node["fqn"][1] == layer), key=lambda node: str(node["name"])):
            lines += (
                _mart(node) if layer == "marts" else [f"- `{node['schema']}.{node['name']}`: {node['description']}"]
            )
        lines += [""] if lines[-1] else []
    return "\n".join(lines).rstrip() + "\n"


def _mart(node: Mapping[str, Any]) -> Iterator[str]:
    yield f"#### `{node['schema']}.{node['name']}`"
    yield ""
    yield str(node["description"])
    yield ""
    yield "| column | meaning |"
    yield "|---|---|"
    for column in node["columns"].values():
        yield f"| `{column['name']}` | {column['description'].replace('|', '/')} |"
    yield ""


def with_reference(page: str, reference: str) -> str:
    """Return the page with what stands between its markers replaced."""
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    return f"{before}{BEGIN}\n\n{reference}\n{END}{after}"


def sql_examples(page: str) -> list[tuple[str, str]]:
    """Return (heading, query) of each worked example: the sql blocks below a `### ` heading."""
    examples: list[tuple[str, str]] = []
    for section in page.split(END)[1].split("\n### ")[1:]:
        heading, _, body = section.partition("\n")
        examples += [(heading.strip(), block.split("```")[0]) for block in body.split("```sql\n")[1:]]
    return examples


def main(page: Path = PAGE) -> None:
    """Write the reference into the page."""
    import json

    settings = load_settings()
    prepare(settings)
    manifest = json.loads(manifest_path(settings).read_bytes())
    page.write_text(with_reference(page.read_text(), render_reference(manifest)))
    print(f"{page}: reference of {PROJECT_DIR}")


if __name__ == "__main__":
    main()
