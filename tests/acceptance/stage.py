"""The stage of the acceptance tests: one sandbox process with markets of its own, accounts, and the SDKs beside it."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import sys
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from eth_account import Account

from tests.support.ports import free_port

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
INSTALLED = ROOT / ".acceptance"
PYTHON = INSTALLED / "python" / "bin" / "python"
NODE = INSTALLED / "node"
CASH_USD = "1000"


@dataclass(frozen=True)
class Stage:
    """A running sandbox as a driver sees it.

    Attributes:
        path: A JSON file with addresses, keys and wallets; its name is in the environment of every driver.
        facts: What the file holds.
    """

    path: Path
    facts: dict[str, Any]

    def run(self, *command: str | Path, limit_s: float = 240) -> list[dict[str, Any]]:
        """Run a driver to its end and return its JSON lines; what it wrote to stderr is in the failure."""
        done = subprocess.run(
            [str(part) for part in command],
            env={"PATH": os.environ["PATH"], "HOME": str(self.path.parent), "CROSSBOOK_STAGE": str(self.path)},
            capture_output=True, text=True, timeout=limit_s, check=False,
        )  # fmt: skip
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert done.returncode == 0, f"after {[line.get('step') for line in lines[-3:]]}:\n{done.stderr[-3_000:]}"
        return lines

    def admin(self, method: str, path: str, body: Any = None) -> Any:
        """Do something on the sandbox's admin port and return its answer."""
        request = urllib.request.Request(
            self.facts["admin"] + path, None if body is None else json.dumps(body).encode(), method=method
        )
        with urllib.request.urlopen(request, timeout=60) as answer:
            return json.loads(answer.read())


def need(path: Path) -> None:
    """Skip the test where the vendors' SDKs are not installed."""
    if not (path / ".installed").exists():
        pytest.skip("the vendors' SDKs are not installed; run `make setup`")


@contextmanager
def open_stage(home: Path, profile: str = "zero") -> Iterator[Stage]:
    """Start a sandbox with accounts for every driver (two on Kalshi, five on Polymarket) and stop it afterwards."""
    kalshi_keys = [_kalshi_key(f"key-{number}") for number in (1, 2)]
    wallets = [Account.create() for _ in range(5)]
    folder = home / "sandbox"
    folder.mkdir(parents=True)
    accounts = {
        "kalshi": [
            {"key_id": key["key_id"], "public_key_pem": key["public_key_pem"], "cash_usd": CASH_USD}
            for key in kalshi_keys
        ],
        "polymarket": [
            {
                "address": wallet.address,
                "api_key": str(uuid.uuid4()),
                "passphrase": "acceptance",
                "secret": base64.urlsafe_b64encode(secrets.token_bytes(32)).decode(),
                "cash_usd": CASH_USD,
                "relayer_key": "acceptance",
            }
            for wallet in wallets
        ],
    }
    (folder / "accounts.json").write_text(json.dumps(accounts))
    (home / "faults.json").write_text(json.dumps({"settlement": {"mined_ms": 100, "confirmed_ms": 300}}))
    kalshi, polymarket, admin = free_port(), free_port(), free_port()
    command = [sys.executable, "-m", "streams.sandbox", "--home", home, "--catalogue", HERE / "catalogue.jsonl"]
    command += ["--kalshi-port", kalshi, "--polymarket-port", polymarket, "--admin-port", admin]
    command += ["--profile", profile, "--flow", "quiet", "--faults", home / "faults.json"]
    # The realistic list cache of 15 seconds would be most of a test's time.
    (home / "behaviour.json").write_text(json.dumps({"list_cache_ms": 1_000 if profile == "realistic" else 0}))
    command += ["--behaviour", home / "behaviour.json"]
    with (home / "sandbox.log").open("w") as log, subprocess.Popen(
        [str(part) for part in command], cwd=ROOT, stdout=subprocess.PIPE, stderr=log, text=True
    ) as process:  # fmt: skip
        try:
            assert process.stdout is not None
            ready = json.loads(process.stdout.readline())
            facts = {
                "kalshi": ready["kalshi"],
                "kalshi_socket": f"ws://127.0.0.1:{kalshi}/trade-api/ws/v2",
                "kalshi_keys": kalshi_keys,
                "polymarket": ready["polymarket"],
                "wallets": [{"address": wallet.address, "private_key": wallet.key.hex()} for wallet in wallets],
                "admin": ready["admin"],
                "node": str(NODE),
            }
            path = home / "stage.json"
            path.write_text(json.dumps(facts))
            stage = Stage(path, facts)
            # From here on only the drivers act: the books are empty, and nobody else trades.
            stage.admin("POST", "/flow", {"running": False, "clear": True})
            yield stage
        finally:
            process.terminate()
            process.wait(60)


def _kalshi_key(key_id: str) -> dict[str, str]:
    key = rsa.generate_private_key(65537, 2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    return {"key_id": key_id, "private_key_pem": pem.decode(), "public_key_pem": public.decode()}
