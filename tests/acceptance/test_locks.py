"""The locks of the acceptance environment pin everything by hash and name no address to download from."""

from __future__ import annotations

import json
import re

from tests.acceptance.stage import HERE


def test_every_python_package_is_pinned_by_hash_without_an_address() -> None:
    text = (HERE / "requirements.lock").read_text()
    pinned = re.findall(r"^([a-z0-9_.-]+)==\S+(?: ; [^\\]+)? \\\n    --hash=sha256:[0-9a-f]{64}", text, re.MULTILINE)
    assert len(pinned) == len(re.findall(r"^[a-z0-9]", text, re.MULTILINE)) > 30
    assert "://" not in text
    wanted = (HERE / "requirements.in").read_text().split("\n", 1)[1].split()
    assert all(f"\n{line} \\" in f"\n{text}" for line in wanted)


def test_every_node_package_is_pinned_by_hash_without_an_address() -> None:
    packages = json.loads((HERE / "package-lock.json").read_text())["packages"]
    own = packages.pop("")
    assert len(packages) > 20
    assert all(package["integrity"].startswith("sha512-") for package in packages.values())
    assert not any("resolved" in package for package in packages.values())
    wanted = {name: packages[f"node_modules/{name}"]["version"] for name in own["dependencies"]}
    assert wanted == own["dependencies"] == json.loads((HERE / "package.json").read_text())["dependencies"]
