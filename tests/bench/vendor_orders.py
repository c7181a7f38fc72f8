"""Builds and signs limit orders with the venue's own SDK; run by the interpreter of the acceptance environment.

`python vendor_orders.py <private key> <token id> <seconds>` prints one JSON object: how many orders it built and signed
per second of CPU time, and the last body, so that the caller can check that both sides make the same order. The client
itself would ask the venue for a market's terms first; they are given here, so that building and signing alone count.
"""

from __future__ import annotations

import json
import sys
import time
from decimal import Decimal
from types import SimpleNamespace

from eth_account import Account
from polymarket._internal.actions.orders.limit import _build_limit_order_draft, validate_limit_order_params
from polymarket._internal.actions.orders.orders import create_signed_order, create_unsigned_order
from polymarket._internal.actions.orders.post import build_post_order_request
from polymarket._internal.actions.orders.typed_data import build_order_signature, build_order_typed_data
from polymarket._internal.environment import PRODUCTION_CONFIG


def main(private_key: str, token_id: str, least_s: float) -> None:
    """Measure and print."""
    account = Account.from_key(private_key)
    context = SimpleNamespace(environment_config=PRODUCTION_CONFIG, wallet=account.address, signer=account)
    terms = SimpleNamespace(tick_size=Decimal("0.01"), neg_risk=False)

    def order() -> object:
        params = validate_limit_order_params(token_id=token_id, price="0.52", size="10", side="BUY")
        draft = _build_limit_order_draft(context, params, price=params.price, metadata=terms)
        unsigned = create_unsigned_order(draft, wallet=account.address, wallet_type="EOA")
        signed = account.sign_typed_data(full_message=build_order_typed_data(unsigned))
        signature = build_order_signature(unsigned, "0x" + signed.signature.hex())
        return build_post_order_request(create_signed_order(unsigned, signature), owner_api_key="key")

    made = order()
    count, start = 0, time.process_time()
    while time.process_time() - start < least_s:
        made = order()
        count += 1
    print(json.dumps({"per_s": count / (time.process_time() - start), "request": made}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], float(sys.argv[3]))
