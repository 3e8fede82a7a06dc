"""What templates print: values, and never the text that Python gives to what is no value."""

from __future__ import annotations

from decimal import Decimal

import pytest

from batcher.core.errors import RowError
from tests.kinds.chats import bind


@pytest.mark.parametrize(
    "expression", ["body|truncate(-5)", "body|truncate(1)", "body|wordwrap(0)", "body|round"]
)
def test_what_does_not_suit_a_filter_fails_its_row(expression: str) -> None:
    with pytest.raises(RowError) as raised:
        bind(f"{{{{ {expression} }}}}").render({"body": "a long body"})
    assert raised.value.code == "template_error"


@pytest.mark.parametrize(
    ("template", "said"),
    [
        ("{{ row.items }}", "items, which is to be called: a column or key of that name is writ"),
        ("{{ order.items }}", '["items"]'),
        ("{{ order.get ~ '' }}", '["get"]'),
        ("{{ body.upper }}", '["upper"]'),
        ("{{ range }}", "which is to be called"),
        ("{% macro f() %}{% endmacro %}{{ f }}", "f, which is to be called"),
        ("{{ body }}{{ self }}", 'row["self"]'),
        ("{{ xs | map('upper') }}", "write | list or | join"),
        ("{{ xs | reverse ~ '' }}", "write | list or | join"),
        ("{% for x in xs %}{{ loop }}{% endfor %}", "a LoopContext, which is Jinja2's own"),
        ("{{ namespace(x=1) }}", "a Namespace, which is Jinja2's own"),
    ],
)
def test_what_is_no_value_is_never_sent_as_one(template: str, said: str) -> None:
    """Its text would be Python's, with an address in it, and the row would be paid for."""
    row = {"body": "b", "items": 1, "self": 2, "xs": ["a", "b"], "order": {"items": 3}}
    with pytest.raises(RowError) as raised:
        bind(template).render(row)
    assert raised.value.code == "template_error"
    assert said in str(raised.value)


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ('{{ row["items"] }} {{ order["items"] }} {{ items }}', "1 3 1"),
        ("{{ xs | map('upper') | join(', ') }} {{ xs | map('upper') | list }}", "A, B ['A', 'B']"),
        ("{{ xs }} {{ order }} {{ range(2) }}", "['a', 'b'] {'items': 3} range(0, 2)"),
        ("{{ none }} {{ true }} {{ 1.5 }} {{ (1, 2) }} {{ big }}", "None True 1.5 (1, 2) 1E+400"),
        ("{% set c = joiner(',') %}{% for x in xs %}{{ c() }}{{ x }}{% endfor %}", "a,b"),
        ("{% for g in [order] | groupby('items') %}{{ g }}{% endfor %}", "(3, [{'items': 3}])"),
    ],
)
def test_what_is_a_value_is_printed(template: str, made: str) -> None:
    row = {"items": 1, "xs": ["a", "b"], "order": {"items": 3}, "big": Decimal("1e400")}
    assert bind(template).render(row) == (made,)
