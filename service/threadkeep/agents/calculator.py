"""Arithmetic from text: a small grammar, evaluated by ourselves, with bounds on every number."""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable
from typing import Final

Number = int | float

EXPRESSION_LENGTH: Final = 200
"""Longest expression, in characters."""
_NODES: Final = 100
_BITS: Final = 4096
"""Largest whole number; about 1,200 digits."""

_BINARY: Final[dict[type[ast.operator], Callable[[Number, Number], Number]]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
}
_UNARY: Final[dict[type[ast.unaryop], Callable[[Number], Number]]] = {
    ast.UAdd: operator.pos,
    ast.USub: operator.neg,
}
_FUNCTIONS: Final[dict[str, tuple[int, Callable[..., Number]]]] = {
    "abs": (1, abs),
    "sqrt": (1, math.sqrt),
    "round": (1, round),
    "min": (2, min),
    "max": (2, max),
}
"""Name → (number of arguments, function)."""

_LEAD: Final = re.compile(
    r"^(please |can you |could you )*(tell me )?"
    r"(what is|what's|what are|how much is|calculate|compute|evaluate|solve)\s+"
)
_WORDS: Final = (
    (re.compile(r"\bplus\b"), "+"),
    (re.compile(r"\bminus\b|−|–"), "-"),
    (re.compile(r"\btimes\b|\bmultiplied by\b|×|·|(?<=\d)\s*x\s*(?=\d)"), "*"),
    (re.compile(r"\bdivided by\b|÷"), "/"),
    (re.compile(r"\bto the power of\b|\^"), "**"),
    (re.compile(r"\bsquared\b"), "**2"),
    (re.compile(r"(?<=\d),(?=\d{3}\b)"), ""),
)
_LOOKS_RIGHT: Final = re.compile(r"(?:\d|[-+*/%(). ,]|\b(?:abs|sqrt|round|min|max)\b)+")
_HAS_WORK: Final = re.compile(r"[\d)]\s*(?:\*\*|//|[-+*/%])\s*[-+(\da-z]|[a-z]\(")


class CalculationError(ValueError):
    """This cannot be calculated."""


def expression_in(text: str) -> str | None:
    """The arithmetic that a question asks for, or None when it asks for something else."""
    if len(text) > 2 * EXPRESSION_LENGTH:
        return None
    found = _LEAD.sub("", text.strip().lower()).rstrip("?=.! ")
    for pattern, sign in _WORDS:
        found = pattern.sub(sign, found)
    found = found.strip()
    if not _LOOKS_RIGHT.fullmatch(found) or not _HAS_WORK.search(found):
        return None
    try:
        ast.parse(found, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None
    return found


def calculate(expression: str) -> Number:
    """The value of an expression; `CalculationError` says why there is none."""
    if len(expression) > EXPRESSION_LENGTH:
        raise CalculationError(f"it is longer than {EXPRESSION_LENGTH} characters")
    try:
        tree = ast.parse(expression.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise CalculationError("it is not arithmetic") from exc
    if sum(1 for _ in ast.walk(tree)) > _NODES:
        raise CalculationError("it has too many parts")
    try:
        return _bounded(_value(tree.body))
    except ZeroDivisionError as exc:
        raise CalculationError("it divides by zero") from exc
    except OverflowError as exc:
        raise CalculationError("a number in it is too large") from exc
    except (TypeError, ValueError) as exc:
        raise CalculationError(str(exc)) from exc


def shown(value: Number) -> str:
    """A number as people write it: 0.3 and not 0.30000000000000004."""
    if isinstance(value, float) and value.is_integer() and abs(value) < 1e15:
        return str(int(value))
    return str(value) if isinstance(value, int) else f"{value:.12g}"


def _value(node: ast.expr) -> Number:
    match node:
        case ast.Constant(value=int() | float() as number) if not isinstance(number, bool):
            return _bounded(number)
        case ast.BinOp(left=left, op=ast.Pow(), right=right):
            return _power(_value(left), _value(right))
        case ast.BinOp(left=left, op=op, right=right) if type(op) in _BINARY:
            return _bounded(_BINARY[type(op)](_value(left), _value(right)))
        case ast.UnaryOp(op=op, operand=operand) if type(op) in _UNARY:
            return _UNARY[type(op)](_value(operand))
        case ast.Call(func=ast.Name(id=name), args=args, keywords=[]) if name in _FUNCTIONS:
            return _call(name, [_value(arg) for arg in args])
        case _:
            raise CalculationError("it is not arithmetic")


def _call(name: str, given: list[Number]) -> Number:
    count, function = _FUNCTIONS[name]
    if len(given) != count:
        raise CalculationError(f"{name} takes {count} number{'s' if count > 1 else ''}")
    try:
        return _bounded(function(*given))
    except ValueError as exc:
        raise CalculationError("it has no real value") from exc


def _power(base: Number, exponent: Number) -> Number:
    # Before the work is done: a tower of powers would take all the time and memory there is.
    if isinstance(base, int) and isinstance(exponent, int) and exponent > 0:
        if max(base.bit_length(), 1) * exponent > _BITS and abs(base) > 1:
            raise CalculationError("a number in it is too large")
    elif base < 0 and not float(exponent).is_integer():
        raise CalculationError("it has no real value")
    result: Number = base**exponent
    return _bounded(result)


def _bounded(value: Number) -> Number:
    if isinstance(value, int):
        if value.bit_length() > _BITS:
            raise CalculationError("a number in it is too large")
    elif not math.isfinite(value):
        raise CalculationError("a number in it is too large")
    return value
