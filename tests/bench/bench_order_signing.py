"""Polymarket orders built and signed per second of CPU, against the venue's own SDK (`polymarket-client`).

Prints a JSON list of {name, value, unit, baseline, baseline_value, ratio}. Both sides make the same order, from price
and size to the body that is posted; that is checked before anything is claimed. The SDK runs in the acceptance
environment, whose interpreter ACCEPTANCE_PYTHON may name; without it the list says so and claims nothing. The two take
turns.
"""

from __future__ import annotations

import json
import os
import secrets
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from streams.venues.credentials.keys import PolymarketCredentials
from streams.venues.polymarket.amounts import limit_amounts
from streams.venues.polymarket.ecdsa import address_of
from streams.venues.polymarket.signing import SignedOrder, build_order

ROOT = Path(__file__).parents[2]
VENDOR = Path(__file__).parent / "vendor_orders.py"
KEY = "0xac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"
"""A public key of a development chain."""
TOKEN = "71321045679252212594626385532706912750332728571942532289631379312455583992563"
WALLET = PolymarketCredentials(SecretStr(KEY), address_of(KEY), "key", SecretStr(""), SecretStr(""))
ROUNDS, LEAST_S = 3, 1.0
NAME = "polymarket_orders_built_and_signed"


def order(salt: int, timestamp_ms: int) -> SignedOrder:
    """Return ten contracts at 0.52."""
    return build_order(
        WALLET,
        token_id=TOKEN,
        side="BUY",
        amounts=limit_amounts("BUY", 5_200, 10_000_000, 100),
        order_type="GTC",
        is_neg_risk=False,
        salt=salt,
        timestamp_ms=timestamp_ms,
    )


def ours_per_s() -> float:
    """Return orders per second of CPU time, bodies serialised."""
    count, start = 0, time.process_time()
    while time.process_time() - start < LEAST_S:
        order(secrets.randbits(53), time.time_ns() // 1_000_000).content()
        count += 1
    return count / (time.process_time() - start)


def vendors(python: Path) -> float:
    """Return the SDK's orders per second of CPU time, after checking that its order is ours."""
    arguments = [str(python), str(VENDOR), KEY, TOKEN, str(LEAST_S)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=True, cwd=ROOT)
    answer: dict[str, Any] = json.loads(done.stdout)
    body = answer["request"][1]
    same = order(body["order"]["salt"], int(body["order"]["timestamp"])).body
    assert same == {"postOnly": False, **body}, "the two sides make different orders"
    return float(answer["per_s"])


def main() -> None:
    """Measure and print."""
    python = Path(os.environ.get("ACCEPTANCE_PYTHON") or ROOT / ".acceptance/python/bin/python")
    if not python.exists():
        print("no acceptance environment: the venue's SDK is not there to compare with", file=sys.stderr)
        print(json.dumps([{"name": NAME, "value": round(ours_per_s()), "unit": "orders/s (SDK not installed)"}]))
        return
    ours, theirs = [], []
    for _ in range(ROUNDS):
        ours.append(ours_per_s())
        theirs.append(vendors(python))
    value, baseline = statistics.median(ours), statistics.median(theirs)
    row = {"name": NAME, "value": round(value), "unit": "orders/s", "baseline": "polymarket-client 0.14.0"}
    print(json.dumps([row | {"baseline_value": round(baseline), "ratio": round(value / baseline, 1)}]))


if __name__ == "__main__":
    main()
