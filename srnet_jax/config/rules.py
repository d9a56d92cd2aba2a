"""What a config field may hold, and when it is read, each as a condition and as text."""

import dataclasses
import math
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

_LARGEST = sys.float_info.max  # a whole number may be larger, and is then no float

Values = Mapping[str, Any]  # of all fields, by dotted name


@dataclasses.dataclass(frozen=True)
class Rule:
    """What a field may hold: the allowed types, a condition, and both as text."""

    types: tuple[type, ...]
    allows: Callable[[Any], bool]
    expected: str


@dataclasses.dataclass(frozen=True)
class Condition:
    """When a field is read: a condition on the other fields, and the same as text."""

    holds: Callable[[Values], bool]
    text: str

    def __and__(self, other: "Condition") -> "Condition":
        return Condition(lambda values: self.holds(values) and other.holds(values), f"{self.text} and {other.text}")


@dataclasses.dataclass(frozen=True)
class Field:
    """A config field.

    Attributes:
      default: its value in `configs/default.py`.
      rule: what it may hold.
      help: what it means, with its unit.
      read: when code reads it; None for always.
    """

    default: Any
    rule: Rule
    help: str
    read: Condition | None = None


def one_of(choices: Iterable[Any]) -> Rule:
    """Allow these values."""
    choices = tuple(choices)
    return Rule((type(choices[0]),), lambda value: value in choices, f"one of {', '.join(map(str, choices))}")


def whole(low: int, high: int = 2**31 - 1) -> Rule:
    """Allow whole numbers within bounds."""
    return Rule((int,), lambda value: low <= value <= high, f"a whole number from {low} to {high:,}")


def number(low: float, high: float = math.inf, *, above: bool = False) -> Rule:
    """Allow numbers within bounds; `above` leaves out the lower one."""
    text = f"a number, {f'above {low}' if above else f'{low} or more'}{'' if high == math.inf else f' and at most {high}'}"
    return Rule((float, int), lambda v: (v > low if above else v >= low) and v <= min(high, _LARGEST), text)


def tuple_of(allows: Callable[[tuple[Any, ...]], bool], text: str) -> Rule:
    """Allow tuples; `text` says of what."""
    return Rule((tuple,), allows, f"a tuple of {text}")


def distinct(item: Rule, text: str) -> Rule:
    """Allow tuples of up to 1,000 different values, each of which the rule of an item allows."""

    def allows(values: tuple[Any, ...]) -> bool:
        return len(set(values)) == len(values) <= 1000 and all(type(v) in item.types and item.allows(v) for v in values)

    return Rule((tuple,), allows, f"() or a tuple of different {text}")


def when(name: str, *values: Any) -> Condition:
    """Hold if a field has one of these values."""
    return Condition(lambda config: config[name] in values, f"{name} {' or '.join(str(value) or 'empty' for value in values)}")


def unless(name: str, *values: Any) -> Condition:
    """Hold if a field has none of these values."""
    return Condition(lambda config: config[name] not in values, f"{name} other than {' or '.join(map(str, values))}")
