"""Refusals that the code holds and no client can bring about, each with the reason."""

UNREACHABLE = {
    "* This venue's fees cannot be changed.": "said of a third venue; there are two",
    "* not a multiSend": "the relayer answers `invalid request payload` in its place",
    "* not a proxy call": "the relayer answers `invalid request payload` in its place",
    "* too many calls": "the relayer answers `invalid request payload` in its place",
    "* settlement.sellable is matched or mined": "said of a fault file when the sandbox starts, before it listens",
}
