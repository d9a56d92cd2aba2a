"""Declare a config field: its default, the values that it may have, and the condition under which code reads it."""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_LARGEST = sys.float_info.max  # a larger int cannot be converted to a float

Values = Mapping[str, Any]  # {dotted name: value} of all fields


@dataclasses.dataclass(frozen=True)
class Rule:
    """The values that a field may have: the allowed types, a condition, and a description of both."""

    types: tuple[type, ...]
    allows: Callable[[Any], bool]
    expected: str


@dataclasses.dataclass(frozen=True)
class Condition:
    """The condition under which code reads a field: a function of all fields, and its description."""

    holds: Callable[[Values], bool]
    text: str

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(lambda values: self.holds(values) and other.holds(values), f"{self.text} and {other.text}")


@dataclasses.dataclass(frozen=True)
class Field:
    """A config field.

    Attributes:
      default: its value in `configs/default.py`.
      rule: the values that it may have.
      help: its meaning, with the unit.
      read: when code reads it; None means always.
    """

    default: Any
    rule: Rule
    help: str
    read: Condition | None = None


def one_of(choices: Iterable[Any]) -> Rule:
    """Return a rule that allows only these values."""
    choices = tuple(choices)
    return Rule((type(choices[0]),), lambda value: value in choices, f"one of {', '.join(map(str, choices))}")


def whole(low: int, high: int = 2**31 - 1) -> Rule:
    """Return a rule that allows whole numbers from `low` to `high`."""
    return Rule((int,), lambda value: low <= value <= high, f"a whole number from {low} to {high:,}")


def number(low: float, high: float = math.inf, *, above: bool = False) -> Rule:
    """Return a rule that allows numbers from `low` to `high`; `above` excludes `low` itself."""
    text = f"a number, {f'above {low}' if above else f'{low} or more'}{'' if high == math.inf else f' and at most {high}'}"
    return Rule((float, int), lambda v: (v > low if above else v >= low) and v <= min(high, _LARGEST), text)


def tuple_of(allows: Callable[[tuple[Any, ...]], bool], text: str) -> Rule:
    """Return a rule that allows tuples that satisfy a condition; `text` describes their items."""
    return Rule((tuple,), allows, f"a tuple of {text}")


def distinct(item: Rule, text: str) -> Rule:
    """Return a rule that allows tuples of at most 1,000 different values, each allowed by the rule `item`."""

    def allows(values: tuple[Any, ...]) -> bool:
        allowed = len(values) <= 1000 and all(type(v) in item.types and item.allows(v) for v in values)
        return allowed and len(set(values)) == len(values)

    return Rule((tuple,), allows, f"() or a tuple of different {text}")


def when(name: str, *values: Any) -> Condition:
    """Return the condition that a field has one of these values."""
    return Condition(lambda config: config[name] in values, f"{name} {' or '.join(str(value) or 'empty' for value in values)}")


def unless(name: str, *values: Any) -> Condition:
    """Return the condition that a field has none of these values."""
    return Condition(lambda config: config[name] not in values, f"{name} other than {' or '.join(map(str, values))}")
