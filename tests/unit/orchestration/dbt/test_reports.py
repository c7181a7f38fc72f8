"""Charts of the marts."""

from xml.etree import ElementTree

from hypothesis import given
from hypothesis import strategies as st

from orchestration.dbt.reports import MartReport, bar_chart, chart_markdown


@given(
    st.lists(
        st.tuples(st.text(alphabet=st.characters(min_codepoint=32, max_codepoint=900)), st.integers(0, 10**9)),
        min_size=1,
        max_size=60,
    )
)
def test_a_chart_is_well_formed_and_has_a_bar_per_value(bars: list[tuple[str, int]]) -> None:
    root = ElementTree.fromstring(bar_chart(bars))
    drawn = [element for element in root if element.tag.endswith("rect")]
    assert len(drawn) == len(bars)
    assert all(0 <= float(bar.attrib["height"]) <= 120 for bar in drawn)


def test_an_empty_mart_says_so() -> None:
    assert "no rows yet" in chart_markdown(MartReport("trades", 0, "rows by state", []))
