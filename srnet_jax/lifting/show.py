"""Show a web page of lifted people: in the notebook, or in the browser."""

import html
import importlib.resources
import json
import re
import sys
import tempfile
import webbrowser
from collections.abc import Mapping
from pathlib import Path

_HEIGHT_PX = 640  # in a notebook


def show(page: str) -> Path | None:
    """Display a page in the notebook that runs this, or else open it in the browser.

    Returns:
      The temporary file of the page, which is kept, and printed if there is no browser; None in a notebook.
    """
    if _in_notebook():
        from IPython.display import HTML, display

        frame = f'<iframe sandbox="allow-scripts" srcdoc="{html.escape(page)}" width="100%" height="{_HEIGHT_PX}"></iframe>'
        display(HTML(f"<div>{frame}</div>"))  # in a div, because IPython warns of a bare iframe
        return None
    path = Path(tempfile.mkdtemp(prefix="srnet_jax-")) / "people.html"
    path.write_text(page, encoding="utf-8")
    if not webbrowser.open(path.as_uri()):
        print(f"open this page in a browser: {path}")
    return path


def together(pages: Mapping[str, str]) -> str:
    """Return one page on which a reader chooses a person.

    Args:
      pages: of each person, by name.
    """
    if len(pages) == 1:
        return next(iter(pages.values()))
    text = importlib.resources.files("srnet_jax.lifting").joinpath("people.html").read_text(encoding="utf-8")
    parts = {
        "__TITLE__": f"{len(pages):,} people",
        "__OPTIONS__": "".join(f"<option>{html.escape(name)}</option>" for name in pages),
        "__PAGES__": json.dumps(list(pages.values())).replace("<", "\\u003c"),  # so that no page ends the script
    }
    return re.sub("|".join(parts), lambda found: parts[found[0]], text)


def _in_notebook() -> bool:
    """Return whether IPython's shell is one of a kernel, which displays HTML."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return getattr(shell, "kernel", None) is not None
