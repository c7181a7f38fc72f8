"""The smart wallets that belong to a signer, as their factories compute the addresses (CREATE2)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from eth_utils.address import to_checksum_address
from eth_utils.crypto import keccak

from streams.sandbox.polymarket.contracts import (
    DEPOSIT_BEACON,
    DEPOSIT_FACTORY,
    DEPOSIT_IMPLEMENTATION,
    PROXY_FACTORY,
    PROXY_IMPLEMENTATION,
    SAFE_FACTORY,
    SAFE_INIT_CODE_HASH,
)
from streams.sandbox.polymarket.signing import address_bytes, word

EOA, PROXY, SAFE, DEPOSIT = 0, 1, 2, 3
# Creation code of the minimal proxy of each factory; the address of its target goes in between.
_PROXY_HEAD = "3d3d606380380380913d393d73"
_PROXY_MIDDLE = "5af4602a57600080fd5b602d8060366000396000f3363d3d373d3d3d363d73"
_PROXY_TAIL = "5af43d82803e903d91602b57fd5bf352e831dd"
_UUPS_HEAD = 0x61003D3D8160233D3973
_UUPS_TAIL = (
    "60095155f3363d3d373d3d363d7f360894a13ba1a3210667c828492db98dca3e2076"
    "cc3735a920a3ca505d382bbc545af43d6000803e6038573d6000fd5b3d6000f3"
)
_BEACON_HEAD = 0x6100523D8160233D3973
_BEACON_TAIL = (
    "60195155f3363d3d373d3d363d602036600436635c60da"
    "1b60e01b36527fa3f0ad74e5423aebfd80d3ef4346578335a9a72aeaee59ff6c"
    "b3582b35133d50545afa5036515af43d6000803e604d573d6000fd5b3d6000f3"
)


@dataclass(frozen=True, slots=True)
class OwnedWallets:
    """The addresses one signer can trade from, checksummed. New deposit wallets are beacon proxies, old ones UUPS."""

    eoa: str
    proxy: str
    safe: str
    deposit: str
    deposit_uups: str

    def of_type(self, signature_type: int) -> str:
        """The wallet a signature type stands for."""
        return (self.eoa, self.proxy, self.safe, self.deposit)[signature_type]

    def type_of(self, wallet: str) -> int | None:
        """The signature type a wallet needs, None when it is none of these."""
        known = {self.eoa: EOA, self.proxy: PROXY, self.safe: SAFE, self.deposit: DEPOSIT, self.deposit_uups: DEPOSIT}
        return known.get(to_checksum_address(wallet))


@lru_cache(maxsize=4_096)
def owned_wallets(signer: str) -> OwnedWallets:
    """Compute a signer's wallets.

    Raises:
        ValueError: If the signer is no address.
    """
    owner = address_bytes(signer)
    proxy_code = bytes.fromhex(
        _PROXY_HEAD
        + address_bytes(PROXY_FACTORY).hex()
        + _PROXY_MIDDLE
        + address_bytes(PROXY_IMPLEMENTATION).hex()
        + _PROXY_TAIL
    )
    proxy_code += word(32) + word(0)
    arguments = address_bytes(DEPOSIT_FACTORY).rjust(32, b"\x00") + owner.rjust(32, b"\x00")
    return OwnedWallets(
        to_checksum_address(owner),
        _create2(PROXY_FACTORY, keccak(owner), keccak(proxy_code)),
        _create2(SAFE_FACTORY, keccak(owner.rjust(32, b"\x00")), bytes.fromhex(SAFE_INIT_CODE_HASH)),
        _deposit(_BEACON_HEAD, DEPOSIT_BEACON, _BEACON_TAIL, arguments),
        _deposit(_UUPS_HEAD, DEPOSIT_IMPLEMENTATION, _UUPS_TAIL, arguments),
    )


def _deposit(head: int, target: str, tail: str, arguments: bytes) -> str:
    code = (head + (len(arguments) << 56)).to_bytes(10, "big") + address_bytes(target) + bytes.fromhex(tail) + arguments
    return _create2(DEPOSIT_FACTORY, keccak(arguments), keccak(code))


def _create2(factory: str, salt: bytes, code_hash: bytes) -> str:
    return str(to_checksum_address(keccak(b"\xff" + address_bytes(factory) + salt + code_hash)[12:]))


def venue_address(name: str) -> str:
    """An address for something of the venue's own, derived from its name."""
    return str(to_checksum_address(keccak(f"house {name}".encode())[12:]))
