"""The dashboard's router: one page per question, for who is signed in.

It is served behind the proxy, on a Unix socket; served on a port it knows nobody and shows nothing.
"""

from __future__ import annotations

import sys
from pathlib import Path

import streamlit as st

# Streamlit puts the script's own folder on the path, not the one the packages are in.
_ROOT = str(Path(__file__).resolve().parents[2])
if _ROOT not in sys.path:
    sys.path.insert(0, _ROOT)

from app.dashboard import theme  # noqa: E402
from app.dashboard.banner import alert_banner, banner  # noqa: E402
from app.dashboard.data import REFRESH, drawn, read, show_html  # noqa: E402
from app.dashboard.identity import SignedIn, find_signed_in  # noqa: E402
from app.dashboard.sidebar import show_person, show_sign_in, show_trouble  # noqa: E402
from app.dashboard.views import (  # noqa: E402
    alerts,
    calculator,
    depth,
    execution,
    health,
    markets,
    opportunities,
    overview,
    pairs,
    portfolio,
    risk,
    spreads,
    trades,
)
from app.queries.alerts import load_banner  # noqa: E402
from app.queries.health import load_ages  # noqa: E402
from streams.storage.store.risk import last_switch  # noqa: E402
from streams.storage.store.warehouse import load_environment  # noqa: E402

SECTIONS = {
    "Now": [
        (overview.page, "Overview", "dashboard", "overview"),
        (alerts.page, "Alerts", "notifications", "alerts"),
        (health.page, "Health", "monitor_heart", "health"),
    ],
    "Prices": [
        (markets.page, "Markets", "storefront", "markets"),
        (pairs.page, "Pairs", "compare_arrows", "pairs"),
        (spreads.page, "Spreads", "show_chart", "spreads"),
        (depth.page, "Depth", "stacked_line_chart", "depth"),
    ],
    "Trading": [
        (opportunities.page, "Opportunities", "bolt", "opportunities"),
        (trades.page, "Trades", "receipt_long", "trades"),
        (execution.page, "Execution", "speed", "execution"),
        (portfolio.page, "Portfolio", "account_balance_wallet", "portfolio"),
        (risk.page, "Risk", "shield", "risk"),
        (calculator.page, "Calculator", "calculate", "calculator"),
    ],
}


@st.fragment(run_every=REFRESH)
def _show_banner(drawn_for: SignedIn) -> None:
    here = find_signed_in()
    if here is None or not here.is_like(drawn_for):
        st.rerun()
    show_trouble(here)
    show_html(banner(read(load_environment), read(last_switch), read(load_ages)), alert_banner(read(load_banner)))
    drawn()


def main() -> None:
    """Draw the navigation, the banner and the chosen page."""
    st.set_page_config(page_title="Crossbook", page_icon=theme.ICON, layout="wide")
    st.logo(theme.LOGO, size="large")
    show_html(theme.STYLE)
    here = find_signed_in()
    if here is None:
        show_sign_in()
        return
    router = st.navigation(
        {
            section: [
                st.Page(page, title=title, icon=f":material/{icon}:", url_path=path, default=path == "overview")
                for page, title, icon, path in entries
            ]
            for section, entries in SECTIONS.items()
        },
        expanded=True,
    )
    with st.sidebar:
        show_person(here, router.url_path)
    risk.show_kill_now()
    _show_banner(here)
    router.run()


main()
