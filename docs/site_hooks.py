"""Show two files of the repository as pages of the site: RESULTS.md and the model card.

On GitHub the pages `results.md` and `model_card.md` link to these files; the site has their text instead.
"""

import re
from pathlib import Path
from typing import Any

_ROOT = Path(__file__).parent.parent
_SHOWN = {"results.md": "RESULTS.md", "model_card.md": "srnet_jax/lifting/pretrained/README.md"}


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Replace a page of `_SHOWN` with the file, whose links to docs/ become links between pages."""
    source = _SHOWN.get(page.file.src_uri)
    return re.sub(r"\]\((?:\.\./)*docs/", "](", (_ROOT / source).read_text(encoding="utf-8")) if source else markdown
