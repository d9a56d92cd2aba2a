"""One line for what several files share."""

import re

_NUMBER = re.compile(r"(?<![\w.])-?\d+(?:,\d{3})*(?:\.\d+)?(?:e[+-]?\d+)?(?!\w)")  # of a message, but not of a name


def grouped(said: list[tuple[str, str]]) -> list[str]:
    """Return a line for each message, or one for all places that share it but for its numbers.

    A number that differs is a range. Where several do, the line has those of the first place, and says so.
    """
    groups: dict[str, list[tuple[str, str]]] = {}
    for place, text in said:
        groups.setdefault(_NUMBER.sub("#", text), []).append((place, text))
    return [_shared(some) for some in groups.values()]


def _shared(some: list[tuple[str, str]]) -> str:
    """Return one line for what is said of some places."""
    place, text = some[0]
    if len(some) == 1:
        return f"{place}: {text}"
    columns = list(zip(*(_NUMBER.findall(one) for _, one in some), strict=True))
    differing = [index for index, column in enumerate(columns) if len(set(column)) > 1]
    if len(differing) == 1:
        ends = [choose(columns[differing[0]], key=_value) for choose in (min, max)]
        numbers = iter([" to ".join(ends) if index == differing[0] else column[0] for index, column in enumerate(columns)])
        text = _NUMBER.sub(lambda _: next(numbers), text)
    such_as = " (numbers of the first)" if len(differing) > 1 else ""
    return f"{place} and {len(some) - 1:,} more{such_as}: {text}"


def _value(number: str) -> float:
    return float(number.replace(",", ""))
