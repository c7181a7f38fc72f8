"""A deposit wallet (signature type 3) through Polymarket's SDK: made by the relayer, which also splits, merges and
redeems for it. Prints what each step answered."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from polymarket import PublicClient, SecureClient
from polymarket.auth import RelayerApiKey
from sdk import ENVIRONMENT, STAGE, admin, eventually, house, note_requests, say

SLUG = "mayor-cole"
DOLLAR = 1_000_000


class Wallet:
    """The wallet and the neg-risk market it acts on."""

    def __init__(self) -> None:
        known = STAGE["wallets"][4]
        key = RelayerApiKey(key="acceptance", address=known["address"])
        self.public = PublicClient(ENVIRONMENT)
        self.client = SecureClient.create(private_key=known["private_key"], environment=ENVIRONMENT, api_key=key)
        market = self.public.get_market(slug=SLUG)
        self.condition = str(market.condition_id)
        self.yes, self.no = str(market.outcomes.yes.token_id), str(market.outcomes.no.token_id)

    def holdings(self) -> dict[str, int]:
        """Dollars and tokens in 1e-6 units."""
        ask = self.client.get_balance_allowance
        return {
            "dollars": ask(asset_type="COLLATERAL").balance,
            "yes": ask(asset_type="CONDITIONAL", asset_id=self.yes).balance,
            "no": ask(asset_type="CONDITIONAL", asset_id=self.no).balance,
        }

    def changed(self, before: dict[str, int]) -> dict[str, int]:
        """What the wallet holds once it is something else."""
        return eventually("a change of the wallet", lambda: (now := self.holdings()) != before and now)

    def act(self, step: str, handle: Any, before: dict[str, int]) -> dict[str, int]:
        """Wait until the relayer has carried a transaction out."""
        outcome = handle.wait()
        after = self.changed(before)
        say(step=step, outcome=outcome.transaction_hash, before=before, after=after)
        return after


def main() -> None:
    """Live it."""
    note_requests()
    wallet = Wallet()
    client = wallet.client
    held = wallet.holdings()
    say(
        step="wallet", wallet=client.wallet, signer=client.signer, type=client.wallet_type, held=held,
        approvals=client.get_trading_approvals_state(),
    )  # fmt: skip
    held = wallet.act("split", client.split_position(condition_id=wallet.condition, amount=50 * DOLLAR), held)
    house(wallet.condition, "bid", 3_000, 100)
    sold = client.place_limit_order(asset_id=wallet.yes, side="SELL", price=Decimal("0.3"), size=20)
    hashes = client.wait_for_order_fill_settlement(sold)
    after = wallet.changed(held)
    say(step="sell", sold=sold, hashes=hashes, before=held, after=after)
    held = wallet.act("merge", client.merge_positions(condition_id=wallet.condition, amount=10 * DOLLAR), after)
    batch = client.merge_multiple_positions(positions=[{"condition_id": wallet.condition, "amount": 5 * DOLLAR}])
    held = wallet.act("merge several", batch, held)
    admin("POST", f"/markets/polymarket/{wallet.condition}/determine", {"settlement_e4": 0, "result": "no"})
    admin("POST", f"/markets/polymarket/{wallet.condition}/settle")
    eventually("a closed market", lambda: wallet.public.get_market(slug=SLUG).state.closed)
    settled = wallet.changed(held)
    say(step="settle", before=held, after=settled)
    outcome = client.redeem_positions(condition_id=wallet.condition).wait()
    say(step="redeem", outcome=outcome.transaction_hash, after=wallet.holdings())


if __name__ == "__main__":
    main()
