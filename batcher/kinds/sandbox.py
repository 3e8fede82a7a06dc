"""Jinja2 in a sandbox that bounds what a template makes: memory, time, and single operations.

Jinja2's own sandbox keeps a template from the machine, not from occupying it: two nested loops are
a day's work, ``{{ 10 ** 10 ** 8 }}`` is one operation of C that holds the whole process. Here every
turn of a loop, call, filter and operator is counted before it is done (:mod:`.metering`); what is
too much is a :class:`RowOverBudget`. The engine's deadline for a row comes on top of it.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable, Iterator
from functools import update_wrapper, wraps
from typing import Any, Final

from jinja2 import StrictUndefined, TemplateSyntaxError, Undefined, nodes, pass_context
from jinja2.compiler import CodeGenerator, Frame
from jinja2.runtime import BlockReference, Context, LoopContext, Macro, TemplateReference
from jinja2.sandbox import ImmutableSandboxedEnvironment, SandboxedFormatter
from markupsafe import EscapeFormatter, Markup

from batcher.core.errors import RowError
from batcher.kinds import costs
from batcher.kinds.metering import (
    CALL_BYTES,
    MOST_BITS,
    MOST_CHARACTERS,
    Meter,
    check_bits,
    too_large,
)

_EACH: Final = "each of"  # no name that a template could write
_INNER: Final = (Macro, BlockReference, LoopContext)
_FRAMES: Final = frozenset({"caller", "_loop_vars", "_block_vars"})
_SMALL: Final = 1 << 64
_DATA: Final = frozenset({str, int, float, bool, type(None), list, dict, tuple, Markup})
_SEQUENCES: Final = (str, bytes, list, tuple)


class TemplateEnvironment(ImmutableSandboxedEnvironment):
    """Templates of one job, rendered by one thread at a time.

    Undefined names are errors, and nothing is escaped. Call :meth:`begin` before each row; what is
    too much raises :class:`batcher.core.errors.RowOverBudget` out of ``render``.
    """

    intercepted_binops = frozenset({"+", "-", "*", "/", "//", "**", "%"})

    def __init__(self) -> None:
        self.meter = Meter()
        super().__init__(
            optimized=False,  # which takes the cube of the time that a long chain's length is
            undefined=StrictUndefined,
            keep_trailing_newline=False,
            autoescape=False,
        )
        self.code_generator_class = _CodeGenerator
        del self.globals["lipsum"]
        filters: dict[str, Any] = dict(self.filters)
        self.filters = {
            name: self._bounded(function, costs.FILTERS.get(name))
            for name, function in filters.items()
        }
        self.filters["sum"] = self._sum()
        self.filters[_EACH] = self._each()
        self.tests = {name: self._bounded(function) for name, function in self.tests.items()}

    def begin(self) -> None:
        """Another row, which may take as much as the one before."""
        self.meter.begin()

    # --- compiling ----------------------------------------------------------------------------

    def compile(self, source: Any, *arguments: Any, **more: Any) -> Any:
        """See Jinja2; what is nested too deeply to be compiled is wrong syntax, too."""
        self.begin()
        try:
            return super().compile(source, *arguments, **more)
        except SyntaxError as error:
            raise TemplateSyntaxError(f"it cannot be compiled: {error.msg}", lineno=1) from error
        except (RecursionError, MemoryError, ValueError, OverflowError) as error:
            raise TemplateSyntaxError(
                f"it is nested too deeply ({type(error).__name__})", lineno=1
            ) from error

    def _parse(self, *arguments: Any, **more: Any) -> nodes.Template:
        try:
            return super()._parse(*arguments, **more)
        except RecursionError as error:
            raise TemplateSyntaxError("it is nested too deeply", lineno=1) from error
        except ValueError as error:
            raise TemplateSyntaxError("a number in it has too many digits", lineno=1) from error

    def _generate(self, source: nodes.Template, *arguments: Any, **more: Any) -> str:
        """Code for a tree whose loops count their turns."""
        for loop in source.find_all(nodes.For):
            loop.iter = nodes.Filter(loop.iter, _EACH, [], [], None, None, lineno=loop.lineno)
        source.set_environment(self)
        return super()._generate(source, *arguments, **more)

    # --- what the compiled code calls ---------------------------------------------------------

    def concat(self, parts: Iterable[str]) -> str:
        """The parts as one text, which is counted while they come."""
        left = MOST_CHARACTERS
        texts = []
        for part in parts:
            left -= len(part)
            if left < 0:
                too_large()
            texts.append(part)
        made = "".join(texts)
        self.meter.charge(made.__sizeof__())
        return made

    def text(self, value: Any) -> str:
        """A value as it is printed.

        Raises:
            RowError: it is none, such as a method, whose text would be Python's and not the row's.
        """
        kind = type(value)
        if kind is str:
            return value  # type: ignore[no-any-return]
        if kind not in _DATA:
            check_value(value)
        if kind is not float and not (kind is int and -_SMALL < value < _SMALL):
            self.meter.measure(value)
        return self.meter.made(str(value))  # type: ignore[no-any-return]

    def measured(self, value: Any) -> Any:
        """The same value, unless it is too large to be printed or compared."""
        self.meter.measure(value)
        return value

    def escapable(self, value: Any) -> Any:
        """The same value, of which a larger text will be made."""
        costs.escaping(self.meter, value)
        return value

    def joined(self, join: Callable[[Iterable[Any]], str], parts: tuple[Any, ...]) -> str:
        """``a ~ b``."""
        self.meter.step()
        for part in parts:
            if type(part) not in _DATA:
                check_value(part)
        self.meter.charge(sum(self.meter.measure(part) for part in parts))
        return join(parts)

    def sliced(self, value: Any, start: Any, stop: Any, step: Any) -> Any:
        """``value[start:stop:step]``."""
        self.meter.step()
        return self.meter.made(value[start:stop:step])

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:
        """An operator between two values; see Jinja2."""
        meter = self.meter
        meter.step()
        if operator == "%" and isinstance(left, str | bytes):
            costs.percent(meter, left, right)
        elif isinstance(left, int) and isinstance(right, int):
            _check_arithmetic(operator, left, right)
        elif operator == "*":
            for sequence, times in ((left, right), (right, left)):
                if isinstance(sequence, _SEQUENCES) and isinstance(times, int) and times > 0:
                    meter.charge(times * max(1, sequence.__sizeof__() if sequence else 0))
        elif operator == "+" and isinstance(left, _SEQUENCES):
            meter.charge(left.__sizeof__() + right.__sizeof__())
        return self.binop_table[operator](left, right)

    def call(self, context: Context, callee: Any, /, *arguments: Any, **named: Any) -> Any:
        """A call within a template; see Jinja2."""
        meter = self.meter
        meter.charge(CALL_BYTES)
        if not isinstance(callee, _INNER):
            arguments = tuple(self._taken(argument) for argument in arguments)
            plain = {name: value for name, value in named.items() if name not in _FRAMES}
            for argument in plain.values():
                meter.measure(argument)
            owner = getattr(callee, "__self__", None)
            if owner is not None and not isinstance(owner, type | types.ModuleType):
                meter.measure(owner)
                rule = costs.METHODS.get(getattr(callee, "__name__", ""))
                if rule is not None and isinstance(owner, str | bytes | int):
                    rule(meter, owner, *arguments, **plain)
        return meter.made(super().call(context, callee, *arguments, **named))

    def wrap_str_format(self, value: Any) -> Callable[..., str] | None:
        """``str.format`` and ``str.format_map``, with fields that are counted; see Jinja2."""
        if not isinstance(value, types.MethodType | types.BuiltinMethodType):
            return None
        template = value.__self__
        if value.__name__ not in ("format", "format_map") or not isinstance(template, str):
            return None
        as_map = value.__name__ == "format_map"
        formatter: _Formatter = _Formatter(self)
        if isinstance(template, Markup):
            formatter = _EscapeFormatter(self, escape=template.escape)

        def formatted(*arguments: Any, **named: Any) -> str:
            if as_map:
                (mapping,) = arguments
                return type(template)(formatter.vformat(template, (), mapping))
            return type(template)(formatter.vformat(template, arguments, named))

        return update_wrapper(formatted, value)

    # --- filters and tests --------------------------------------------------------------------

    def _taken(self, value: Any) -> Any:
        """An argument: an iterator counts its turns, anything else is measured."""
        if type(value) is str:
            self.meter.read(value)
            return value
        if isinstance(value, Iterator) and not isinstance(value, LoopContext):
            return self.meter.counted(value)
        self.meter.measure(value)
        return value

    def _bounded(self, function: Any, rule: costs.Rule | None = None) -> Any:
        """A filter or test that is counted, and refused where it would make too much."""
        passed = 1 if hasattr(function, "jinja_pass_arg") else 0
        listed = rule is costs.FILTERS["join"]

        @wraps(function)
        def bounded(*arguments: Any, **named: Any) -> Any:
            self.meter.step()
            usual = rule is None and not named and len(arguments) == passed + 1
            if usual and type(arguments[passed]) is str:
                self.meter.read(arguments[passed])
                return self.meter.made(function(*arguments))
            given = [self._taken(argument) for argument in arguments[passed:]]
            for argument in named.values():
                self.measured(argument)
            if listed and given and isinstance(given[0], Iterator):
                given[0] = list(given[0])
            if rule is not None:
                rule(self.meter, *given, **named)
            return self.meter.made(function(*arguments[:passed], *given, **named))

        return bounded

    def _each(self) -> Callable[[Context, Any], Iterator[Any]]:
        """What a loop goes through."""

        @pass_context
        def each(context: Context, values: Any) -> Iterator[Any]:
            del context
            return self.meter.counted(values)

        return each

    def _sum(self) -> Callable[..., Any]:
        """The filter ``sum``, one operator at a time: lists are added in the square of time."""
        attributes = self.filters["map"]

        @pass_context
        def add_up(
            context: Context, values: Iterable[Any], attribute: Any = None, start: Any = 0
        ) -> Any:
            if attribute is not None:
                values = attributes(context, values, attribute=attribute)
            total = start
            for value in values:
                total = self.call_binop(context, "+", total, value)
            return total

        return add_up


class _Formatter(SandboxedFormatter):
    """Fields of ``str.format``, counted."""

    _env: TemplateEnvironment

    def format_field(self, value: Any, format_spec: str) -> Any:
        costs.format_spec(self._env.meter, value, format_spec)
        return super().format_field(value, format_spec)

    def convert_field(self, value: Any, conversion: Any) -> Any:
        self._env.measured(value)
        return super().convert_field(value, conversion)


class _EscapeFormatter(_Formatter, EscapeFormatter):
    """The same where texts are escaped."""


class _CodeGenerator(CodeGenerator):
    """Has the environment do what Jinja2 would do by itself: joins, slices, comparisons, texts."""

    def visit_Concat(self, node: nodes.Concat, frame: Frame) -> None:  # noqa: N802
        if frame.eval_ctx.volatile:
            join = "(markup_join if context.eval_ctx.volatile else str_join)"
        else:
            join = "markup_join" if frame.eval_ctx.autoescape else "str_join"
        self.write(f"environment.joined({join}, (")
        for part in node.nodes:
            self.visit(part, frame)
            self.write(", ")
        self.write("))")

    def visit_Getitem(self, node: nodes.Getitem, frame: Frame) -> None:  # noqa: N802
        if not isinstance(node.arg, nodes.Slice):
            super().visit_Getitem(node, frame)
            return
        self.write("environment.sliced(")
        self.visit(node.node, frame)
        for bound in (node.arg.start, node.arg.stop, node.arg.step):
            self.write(", ")
            self.visit(nodes.Const(None) if bound is None else bound, frame)
        self.write(")")

    def visit_Compare(self, node: nodes.Compare, frame: Frame) -> None:  # noqa: N802
        """What is compared with a constant is not gone into, but what it is sought in is."""
        sides = [node.expr, *(operand.expr for operand in node.ops)]
        simple = len(sides) == 2 and any(isinstance(side, nodes.Const) for side in sides)
        simple = simple and node.ops[0].op not in ("in", "notin")
        self.write("(")
        self._side(node.expr, frame, simple)
        for operand in node.ops:
            self.write(f" {_OPERATORS[operand.op]} ")
            self._side(operand.expr, frame, simple)
        self.write(")")

    def _side(self, node: nodes.Expr, frame: Frame, simple: bool) -> None:
        self.write("" if simple else "environment.measured(")
        self.visit(node, frame)
        self.write("" if simple else ")")

    def _output_child_pre(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        if frame.eval_ctx.volatile:
            self.write("(escape if context.eval_ctx.autoescape else str)(environment.escapable(")
        elif frame.eval_ctx.autoescape:
            self.write("escape(environment.escapable(")
        else:
            self.write("environment.text((")

    def _output_child_post(self, node: nodes.Expr, frame: Frame, finalize: Any) -> None:
        self.write("))")


_OPERATORS: Final = {
    "eq": "==", "ne": "!=", "gt": ">", "gteq": ">=", "lt": "<", "lteq": "<=", "in": "in",
    "notin": "not in",
}  # fmt: skip


def check_value(value: Any) -> None:
    """Refuse what a template prints by mistake: a method, a generator, a thing of Jinja2's own.

    Raises:
        RowError: saying what it is and what was probably meant.
    """
    if isinstance(value, Undefined | tuple):  # the first says so itself
        return
    name = value.name if isinstance(value, Macro) else getattr(value, "__name__", "")
    if isinstance(value, Iterator) and not isinstance(value, LoopContext):
        said = "a lazy sequence: write | list or | join(', ') after it"
    elif isinstance(value, TemplateReference):
        said = 'self, which is Jinja2\'s own: a column of that name is written row["self"]'
    elif name and callable(value):
        said = f'{name}, which is to be called: a column or key of that name is written ["{name}"]'
    elif type(value).__module__.startswith("jinja2."):
        said = f"a {type(value).__name__}, which is Jinja2's own"
    else:
        return
    raise RowError("template_error", f"the template prints {said}")


def _check_arithmetic(operator: str, left: int, right: int) -> None:
    """Refuse what makes, or takes, too long a number."""
    if operator == "**":
        if right > 0 and left.bit_length() * right > MOST_BITS and left not in (-1, 0, 1):
            too_large()
        check_bits(right)
    elif operator in "*//%" and not (-_SMALL < left < _SMALL and -_SMALL < right < _SMALL):
        check_bits(left, right)
