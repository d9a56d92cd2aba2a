"""Group the messages of many files: one line for all files with the same message."""

import re

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)")  # a number that is no part of a name


def grouped(messages: list[tuple[str, str]]) -> list[str]:
    """Return one line for each group of messages that differ only in their numbers.

    If one number differs within a group, the line has its range. If several differ, the line has the numbers of the first
    message and says so.

    Args:
      messages: pairs of a place, such as a file, and a text.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for place, text in messages:
        groups.setdefault(_NUMBER.sub("#", text), []).append((place, text))
    return [_line(group) for group in groups.values()]


def _line(group: list[tuple[str, str]]) -> str:
    """Return one line for messages that differ only in their numbers."""
    place, text = group[0]
    if len(group) == 1:
        return f"{place}: {text}"
    columns = list(zip(*(_NUMBER.findall(one) for _, one in group), strict=True))
    differing = [index for index, column in enumerate(columns) if len(set(column)) > 1]
    if len(differing) == 1:
        ends = [choose(columns[differing[0]], key=_value) for choose in (min, max)]
        numbers = iter([" to ".join(ends) if index == differing[0] else column[0] for index, column in enumerate(columns)])
        text = _NUMBER.sub(lambda _: next(numbers), text)
    such_as = " (numbers of the first)" if len(differing) > 1 else ""
    return f"{place} and {len(group) - 1:,} more{such_as}: {text}"


def _value(number: str) -> float:
    return float(number.replace(",", ""))
