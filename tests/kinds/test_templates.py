"""Templates that would occupy the process: each is its row's failure, soon, and makes little."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from batcher.core.errors import RowError, UsageError
from batcher.kinds import metering
from batcher.kinds.sandbox import TemplateEnvironment
from jobs.embed import KIND as EMBED
from tests.kinds.chats import bind

ROW: dict[str, Any] = {
    "body": "some text with words " * 20,
    "n": 10**9,
    "big": "x" * 2_000_000,
    "wide": "ю" * 1_500_000,
    "words": ["a word"] * 50_000,
    "xs": [1, 2, 3],
    "d": {"a": 1},
}
SHARE = 8
SECONDS = 4.0
"""Of the processor, within an eighth of what a row is given: what else the machine does counts for
nothing. Far above what any of them takes (mostly milliseconds, at most one second), and far below
what they would take."""

DOUBLING = "{% set ns = namespace(x=START, y=START) %}{% for i in range(100) %}STEP{% endfor %}USE"


def doubled(start: str, step: str, use: str) -> str:
    return DOUBLING.replace("START", start).replace("STEP", step).replace("USE", use)


NESTED = "{% set ns.x = [ns.x, ns.x] %}{% set ns.y = [ns.y, ns.y] %}"

SPINNING = {
    "loops": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "loops with output": "{% for a in range(99999) %}{% for b in range(9999) %}x{% endfor %}"
    "{% endfor %}",
    "a loop's test": "{% for a in range(99999) if range(99999)|list|length < 0 %}{% endfor %}",
    "macros": "{% macro m(n) %}{% if n %}{{ m(n - 1) }}{{ m(n - 1) }}{% endif %}{% endmacro %}"
    "{{ m(60) }}",
    "recursive loops": "{% for x in [1,2] recursive %}{% if loop.depth < 60 %}{{ loop([1,2]) }}"
    "{% endif %}{% endfor %}",
    "repeated text": "{{ 'a' * 10**9 }}",
    "repeated list": "{{ (range(100000)|list * 100000)|length }}",
    "repeated by the left": "{{ 10**9 * 'a' }}",
    "a power": "{{ 10 ** (10 ** 8) }}",
    "a negative power's base": "{{ (0 - 7) ** (10 ** 9) }}",
    "a product": "{{ (10 ** 30000) * (10 ** 30000) }}",
    "formatted": "{{ '%1000000000d'|format(1) }}",
    "formatted by %": "{{ '%1000000000d' % 1 }}",
    "formatted to a width given": "{{ '%*d' % (n, 1) }}",
    "formatted digits": "{{ '%.1000000000f' % 1.5 }}",
    "formatted often": "{{ ('%(a)s' * 1000)|format(a=big) }}",
    "centred": "{{ 'a'|center(10**10) }}",
    "centred by name": "{{ 'a'|center(width=10**10) }}",
    "batches": "{{ [1]|batch(10**10, 'x')|list }}",
    "batches by name": "{{ [1]|batch(linecount=10**10, fill_with='x')|list }}",
    "slices": "{{ [1]|slice(10**10)|list }}",
    "wrapped with much": "{{ big|wordwrap(1, True, big) }}",
    "wrapped words": "{{ big|wordwrap(1) }}",
    "indented": "{{ 'a'|indent(10**9, true) }}",
    "indented by text": "{{ body.replace(' ', '\n')|indent(big) }}",
    "doubled by ~": doubled("'ab'", "{% set ns.x = ns.x ~ ns.x %}", ""),
    "doubled by +": doubled("'ab'", "{% set ns.x = ns.x + ns.x %}", ""),
    "doubled by a set": doubled(
        "'ab'", "{% set t %}{{ ns.x }}{{ ns.x }}{% endset %}{% set ns.x = t %}", ""
    ),
    "doubled by join": doubled("'ab'", "{% set ns.x = [ns.x, ns.x]|join %}", ""),
    "doubled by replace": doubled("'aa'", "{% set ns.x = ns.x|replace('a', 'aa') %}", ""),
    "doubled by format": doubled("'ab'", "{% set ns.x = '{0}{0}'.format(ns.x) %}", ""),
    "doubled lists": doubled("[1]", "{% set ns.x = ns.x + ns.x %}", ""),
    "nested lists printed": doubled("[1]", NESTED, "{{ ns.x }}"),
    "nested lists as text": doubled("[1]", NESTED, "{{ ns.x|string|length }}"),
    "nested lists joined": doubled("[1]", NESTED, "{{ ns.x|join('-') }}"),
    "nested lists as JSON": doubled("[1]", NESTED, "{{ ns.x|tojson }}"),
    "nested lists in %": doubled("[1]", NESTED, "{{ '%s' % ns.x }}"),
    "nested lists in format": doubled("[1]", NESTED, "{{ '{}'.format(ns.x) }}"),
    "nested lists in ~": doubled("[1]", NESTED, "{{ ns.x ~ '' }}"),
    "nested lists compared": doubled("[1]", NESTED, "{{ ns.x == ns.y }}"),
    "nested lists ordered": doubled("[1]", NESTED, "{{ ns.x < ns.y }}"),
    "nested lists looked for": doubled("[1]", NESTED, "{{ ns.x in [ns.y] }}"),
    "nested lists tested": doubled("[1]", NESTED, "{{ ns.x is eq ns.y }}"),
    "nested lists sorted": doubled("[1]", NESTED, "{{ [ns.x, ns.y]|sort|length }}"),
    "nested lists counted": doubled("[1]", NESTED, "{{ [ns.x].count(ns.y) }}"),
    "much output": "{% for i in range(1000) %}{{ big }}{% endfor %}",
    "much in a set": "{% set x %}{% for i in range(1000) %}{{ big }}{% endfor %}{% endset %}",
    "much in a macro": "{% macro m() %}{% for i in range(1000) %}{{ big }}{% endfor %}"
    "{% endmacro %}{% set x = m() %}",
    "much escaped": "{% autoescape true %}{% set x %}{% for i in range(1000) %}{{ big }}"
    "{% endfor %}{% endset %}{% endautoescape %}",
    "escaped again": "{{ ('<' * 2000000)|e|e|e|e|length }}",
    "slices of texts": "{% for i in range(99999) %}{% set x = big[1:] %}{% endfor %}",
    "filters on texts": "{% for i in range(99999) %}{% set x = big|upper %}{% endfor %}",
    "numbers read": "{% for i in range(99999) %}{% set x = big|float %}{% endfor %}",
    "searched": "{% for i in range(99999) %}{% if 'xy' in big %}{% endif %}{% endfor %}",
    "counted": "{% for i in range(99999) %}{% set x = big.count('xy') %}{% endfor %}",
    "compared": "{% set c = big ~ '' %}{% for i in range(99999) %}{{ c == big }}{% endfor %}",
    "a word in urlize": "{{ (')' * 2000000 ~ 'x')|urlize }}",
    "a method's width": "{{ 'a'.ljust(n) }}",
    "zeros": "{{ 'a'.zfill(n) }}",
    "tabs": "{{ '\t'.expandtabs(n) }}",
    "replaced by much": "{{ big.replace('x', big) }}",
    "replaced between": "{{ big|replace('', big) }}",
    "joined by much": "{{ big.join(big) }}",
    "joined numbers": "{{ range(100000)|join(big) }}",
    "joined mapped": "{{ range(100000)|map('string')|join(big) }}",
    "mapped": "{{ range(99999)|map('center', 1000000)|list|length }}",
    "translated": "{{ big.translate({120: big}) }}",
    "a format's width": "{{ '{:>1000000000}'.format(1) }}",
    "a format's width given": "{{ '{:>{w}}'.format(1, w=n) }}",
    "a format of a map": "{{ '{a:>1000000000}'.format_map({'a': 1}) }}",
    "a format reached by a filter": "{{ ('{:>1000000000}'|attr('format'))(1) }}",
    "bytes": "{{ (5).to_bytes(n, 'big') }}",
    "rounded": "{{ 1|round(-10**8) }}",
    "rounded down": "{{ 1|round(10**8, 'floor') }}",
    "summed lists": "{{ ([[1]] * 100000)|sum(start=[]) }}",
    "characters": "{{ wide|list|length }}",
    "JSON's indent": "{{ d|tojson(indent=n) }}",
    "a range": "{{ range(10**9) }}",
}

FAILING = {
    "a macro without end": "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
    "a block without end": "{% block a %}{{ self.a() }}{% endblock %}",
    "a loop without end": "{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}",
    "a list too deep": "{% set ns = namespace(x=[1]) %}{% for i in range(99999) %}"
    "{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
}


@contextmanager
def an_eighth() -> Iterator[None]:
    """A row may do an eighth of the usual, so that what does too much is found out soon."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(metering, "MOST_BYTES", metering.MOST_BYTES // SHARE)
        yield


@pytest.mark.parametrize("template", [*SPINNING.values(), *FAILING.values()],
                         ids=[*SPINNING, *FAILING])  # fmt: skip
def test_a_template_that_does_too_much_fails_its_row_soon(template: str) -> None:
    bound = bind(template + "{{ body[:0] }}.")
    began = time.thread_time()
    with an_eighth(), pytest.raises(RowError) as raised:
        bound.render(ROW)
    assert raised.value.code == "template_error"
    assert "xxx" not in str(raised.value)
    assert time.thread_time() - began < SECONDS
    assert bind("{{ body }}").render(ROW) == (ROW["body"].strip() + " ",)


@pytest.mark.parametrize(
    "name", ["repeated text", "a power", "formatted", "doubled by ~", "much in a set", "mapped"]
)
def test_it_makes_no_more_than_it_may(name: str) -> None:
    bound = bind(SPINNING[name] + "{{ body[:0] }}.")
    tracemalloc.start()
    try:
        with pytest.raises(RowError):
            bound.render(ROW)
        assert tracemalloc.get_traced_memory()[1] < 150 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("{{ body[:9] }}", "some text"),
        ("{{ xs|join(', ') }} {{ '%05d' % 3 }} {{ '{:>3}'.format(2) }}", "1, 2, 3 00003   2"),
        (
            "{% for x in xs %}{{ loop.index }}/{{ loop.length }}:{{ x }}"
            "{% if not loop.last %},{% endif %}{% endfor %}",
            "1/3:1,2/3:2,3/3:3",
        ),
        ("{% macro m(a) %}<{{ a }}>{% endmacro %}{{ m(1) }}{{ m('b') }}", "<1><b>"),
        ("{% set x %}a{{ n }}b{% endset %}{{ x }}", "a1000000000b"),
        ("{{ d.items()|list }} {{ d|tojson }}", '[(\'a\', 1)] {"a": 1}'),
        ("{{ xs|sum }} {{ [[1], [2]]|sum(start=[]) }}", "6 [1, 2]"),
        ("{{ [d]|sum(attribute='a') }}", "1"),
        ("{{ xs|map('string')|join('-') }}", "1-2-3"),
        (
            "{% set ns = namespace(t=0) %}{% for x in xs %}{% set ns.t = ns.t + x %}{% endfor %}"
            "{{ ns.t }}",
            "6",
        ),
        ("{{ big|truncate(9) }} {{ big|length }}", "xxxxxx... 2000000"),
        ("{% filter upper %}a{{ xs[0] }}{% endfilter %}", "A1"),
        ("{% autoescape true %}{{ '<' ~ d.a }}{% endautoescape %}", "&lt;1"),
        ("{{ 1 if n > 3 else 2 }} {{ 'me' in body }} {{ xs == xs }}", "1 True True"),
        ("{% for x in xs if x > 1 %}{{ loop.length }}{{ x }}{% else %}-{% endfor %}", "2223"),
        ("{{ 7 // 2 }} {{ 2 ** 10 }} {{ 10 % 4 }} {{ 'ab' * 2 }}", "3 1024 2 abab"),
        ("{% for t in [[1, [2]]] recursive %}{% for x in t %}"
         "{{ loop.index }}{% endfor %}{% endfor %}", "12"),
        ("{% for i in range(20000) %}{{ i % 10 }}{% endfor %}", "0123456789" * 2000),
    ],
)  # fmt: skip
def test_what_is_usual_is_rendered_as_ever(template: str, made: str) -> None:
    assert bind(template).render(ROW) == (made,)


def test_a_row_s_template_may_do_as_much_as_the_one_before() -> None:
    bound = bind("{% for i in range(99999) %}{{ 'x' if i < 0 }}{% endfor %}{{ body[:1] }}")
    with an_eighth():
        assert {bound.render(ROW) for _ in range(3)} == {("s",)}


@pytest.mark.parametrize("name", ["loops", "repeated text", "a power", "a macro without end"])
def test_a_system_message_that_does_too_much_is_an_error_of_the_options(name: str) -> None:
    template = (SPINNING | FAILING)[name]
    with pytest.raises(UsageError, match="--system"):
        bind("{{ body }}", template)


@pytest.mark.parametrize(
    "template",
    [
        "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
        "{% for x in xs %}" * 40 + "{% endfor %}" * 40,
        "{{ " + "[" * 3000 + "]" * 3000 + " }}",
    ],
)
def test_a_template_nested_too_deeply_is_an_error_of_the_options(template: str) -> None:
    with pytest.raises(UsageError, match="--prompt is not a Jinja2 template"):
        bind(template)


_ENVIRONMENT = TemplateEnvironment()
_READINGS = [
    *(
        f"{value}|{name}"
        for name in sorted(_ENVIRONMENT.filters)
        if name.isidentifier()
        for value in ("big", "range(99999)", "words")
    ),
    *(f"big is {name}" for name in sorted(_ENVIRONMENT.tests) if name.isidentifier()),
    *(f"big.{name}()" for name in dir(str) if not name.startswith("_")),
    *(f"big.{name}('xy')" for name in dir(str) if not name.startswith("_")),
    *(
        sought.format(value)
        for value in ("big", "words", "range(99999)")
        for sought in (
            "'\u2603' in {}",
            "7.5 in {}",
            "'\u2603' not in {}",
            "'\u2603' is in({})",
            "{}.count('\u2603')",
            "{}.index('\u2603')",
            "{0} == {0}",
            "{0} in [{0}]",
            "[{0}, 1]|max",
        )
    ),
]


@pytest.mark.parametrize("reading", _READINGS)
def test_nothing_goes_through_a_long_text_over_and_over(reading: str) -> None:
    template = "{% for i in range(99999) %}{% set x = " + reading + " %}{% endfor %}"
    bound = bind("{{ body[:0] }}." + template)
    began = time.thread_time()
    with an_eighth(), suppress(RowError):
        bound.render(ROW)
    assert time.thread_time() - began < SECONDS


def test_embed_s_template_knows_no_widths_and_makes_no_gigabytes() -> None:
    (column,) = EMBED.bind({"template": "{body:>1000000000}"}).columns
    assert column == "body:>1000000000"
    bound = EMBED.bind({"template": "{big}" * 20})
    with pytest.raises(RowError) as raised:
        bound.render(ROW)
    assert raised.value.code == "template_error"


_VALUES = st.sampled_from(
    ["'a'", "big", "xs", "d", "n", "7", "'%s%9999d'", "[big, xs]", "range(99999)", "body.split()"]
)
_FILTERS = st.sampled_from(
    """upper list|length string|length join(big) center(n) batch(n,1)|list tojson|tojson
    replace('x',big) indent(n) wordwrap(1)|length map('string')|list first|string sort|length
    format(n,n) e|e|length sum pprint|length slice(n)|list urlize|length title striptags
    xmlattr items|list unique|list reverse|list round(n) int float urlencode|length wordcount
    default(big) count""".split()
)
_OPERATORS = st.sampled_from(["*", "**", "+", "~", "%", "==", "in", "//", "-"])


@st.composite
def expressions(draw: st.DrawFn, depth: int = 3) -> str:
    if depth == 0 or draw(st.booleans()):
        return draw(_VALUES)
    left = draw(expressions(depth=depth - 1))
    if draw(st.booleans()):
        return f"({left})|{draw(_FILTERS)}"
    return f"({left}) {draw(_OPERATORS)} ({draw(expressions(depth=depth - 1))})"


@settings(max_examples=60, deadline=None)
@given(expression=expressions(), loops=st.integers(0, 1))
def test_no_expression_takes_long_or_raises_what_it_must_not(expression: str, loops: int) -> None:
    template = "{{ body[:0] }}." + "{% for i in range(99999) %}" * loops
    template += "{{ " + expression + " }}" + "{% endfor %}" * loops
    bound = bind(template)
    began = time.thread_time()
    made = ""
    with an_eighth(), suppress(RowError):
        (made,) = bound.render(ROW)
    assert len(made) <= 16 << 20
    assert time.thread_time() - began < 3 * SECONDS


LINKS = """|upper .x [0] |map(attribute='x') +1 ~'x' (1) ==1 ,1 () [1:] *9""".split()
LINKS += [" and a", " if a else a", " is string", " or not a"]


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("count", [60, 190, 1_500])
def test_a_long_chain_is_read_or_refused_soon(link: str, count: int) -> None:
    began = time.thread_time()
    with suppress(UsageError):
        bind(f"{{{{ a{link * count} }}}}")
    assert time.thread_time() - began < 1.5


TOKENS = """{{ }} {% %} {# #} if for x in endif endfor set = macro f(x) endmacro row body 1 0x 1e999
    ' " \\ ( ) [ ] { } , : | . upper is not ~ - raw endraw block filter call with
    f(x=1,x=1)""".split()
TOKENS += ["9" * 5_000, "\n"]


@settings(max_examples=60, deadline=None)
@given(
    template=st.one_of(
        st.builds(
            lambda link, count: f"{{{{ a{link * count} }}}}",
            st.sampled_from(LINKS),
            st.sampled_from([1, 60, 400, 1_500]),
        ),
        st.lists(st.sampled_from(TOKENS), max_size=30).map(" ".join),
    )
)
def test_any_template_is_read_or_refused(template: str) -> None:
    """And what is read renders a row, or fails it; its words are never a fault of the kind."""
    try:
        bound = bind(template)
    except UsageError:
        return
    with suppress(RowError):
        bound.render({"a": "x", "body": "x", "x": 1})
