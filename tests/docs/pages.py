"""The pages of the documentation, and the code blocks and commands in them."""

import dataclasses
import re
import shlex
import textwrap
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
DOCS = ROOT / "docs"
PAGES = sorted(DOCS.rglob("*.md"))
CARD = ROOT / "srnet_jax" / "lifting" / "pretrained" / "README.md"
_FENCE = re.compile(r'^( *)```(\w*)(?: title="([^"]+)")?\n(.*?)^\1```$', re.MULTILINE | re.DOTALL)
_NEEDS = re.compile(r"\*Needs: ([^*]+)\.\*\s*\Z")
_PREFIXES = {"taskset": 3, "srun": 1}  # words before the program


@dataclasses.dataclass(frozen=True)
class Block:
    """A code block.

    Attributes:
      page: its file.
      language: of the fence, "" if it has none.
      title: the file that it shows, "" if it has none.
      text: its content, without the indentation of a list.
      needs: what the line before says that it needs, "" for nothing.
    """

    page: Path
    language: str
    title: str
    text: str
    needs: str


def blocks(page: Path) -> list[Block]:
    """Return the code blocks of a page, in order."""
    text = page.read_text(encoding="utf-8")
    found = []
    for match in _FENCE.finditer(text):
        needs = _NEEDS.search(text[: match.start()])
        content = textwrap.dedent(match[4]) if not match[1] else re.sub(f"^{match[1]}", "", match[4], flags=re.MULTILINE)
        found.append(Block(page, match[2], match[3] or "", content, needs[1] if needs else ""))
    return found


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", page.read_text(encoding="utf-8"))


def commands(text: str) -> list[list[str]]:
    """Return the commands of a shell script as words: without comments, prefixes such as `taskset`, and parts of a loop."""
    found = []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        for part in re.split(r"&&|;", line.partition(" #")[0]):
            words = shlex.split(part, comments=True)
            words = words[_PREFIXES.get(words[0], 0) :] if words else []
            if words and words[0] not in ("for", "do", "done", "source"):
                found.append(words)
    return found


def spans(page: Path) -> list[list[str]]:
    """Return the commands in a page's text, as words."""
    return [
        shlex.split(span) for span in re.findall(r"`((?:python -m launch\.[a-z_]+|srnet-lift) ?[^`A-Z][^`]*)`", prose(page))
    ]
