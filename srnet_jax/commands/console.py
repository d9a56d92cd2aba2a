"""Print tables and progress bars to the terminal."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, TypeVar

from rich.console import Console
from rich.progress import track as rich_track
from rich.status import Status

if TYPE_CHECKING:
    from srnet_jax.evaluation.tables import Grid

_Item = TypeVar("_Item")
_WIDEST = 1000  # characters; a table is never so narrow that numbers are cut


def console(width: int) -> Console:
    """Return a console for tables that prints text without markup; `width` in characters applies unless it is a terminal."""
    return Console(highlight=False, markup=False, emoji=False, width=None if Console().is_terminal else width)


def print_table(grid: "Grid") -> None:
    """Print a table as wide as the terminal, or wider if its numbers need it."""
    from srnet_jax.evaluation.tables import to_rich

    out = console(width=160)
    table = to_rich(grid)
    needed = out.measure(table, options=out.options.update(width=_WIDEST)).minimum
    out.print(table, "", width=max(out.width, needed), crop=False)


def track(items: Iterable[_Item]) -> Iterable[_Item]:
    """Yield the items and show a progress bar; the bar pulses if the number of items is not known."""
    return rich_track(items, description="reading", transient=True)


def busy(text: str) -> Status:
    """Return a context that shows what the program is doing; it shows nothing unless standard error is a terminal."""
    return Console(markup=False, emoji=False, stderr=True).status(text)
