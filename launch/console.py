"""What launchers print besides lines: tables and progress."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import track as rich_track

if TYPE_CHECKING:
    from srnet_jax.evaluation.tables import Grid

_Item = TypeVar("_Item")
_WIDEST = 1000  # characters of a table, which is never so narrow that numbers are cut


def console(width: int) -> Console:
    """Return a console for tables, of that width unless it is a terminal, which prints text as it is."""
    return Console(highlight=False, markup=False, emoji=False, width=None if Console().is_terminal else width)


def print_table(grid: "Grid") -> None:
    """Print a table, as wide as the terminal, or as its numbers need."""
    from srnet_jax.evaluation.tables import to_rich

    out = console(width=160)
    table = to_rich(grid)
    needed = out.measure(table, options=out.options.update(width=_WIDEST)).minimum
    out.print(table, "", width=max(out.width, needed), crop=False)


def track(items: Iterable[_Item]) -> Iterable[_Item]:
    """Yield the items beside a progress bar; without a length it pulses."""
    return rich_track(items, description="reading", transient=True)
