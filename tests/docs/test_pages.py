"""The site: every page is in its menu, links and pictures exist, and tables are those of the code."""

import re

import pytest
import yaml

from srnet_jax.keypoints import formats
from srnet_jax.pose.layouts import LAYOUTS
from tests.docs.pages import CARD, DOCS, PAGES, ROOT, prose

EVERYTHING = [ROOT / "README.md", ROOT / "RESULTS.md", CARD, *PAGES]


def menu():
    """Return the pages of the site's menu, in order."""

    def named(entry):
        values = entry.values() if isinstance(entry, dict) else entry if isinstance(entry, list) else [entry]
        return [entry] if isinstance(entry, str) else [name for value in values for name in named(value)]

    return named(yaml.safe_load((ROOT / "mkdocs.yml").read_text())["nav"])


def test_every_page_is_in_the_menu_once():
    assert sorted(menu()) == sorted(str(page.relative_to(DOCS)) for page in PAGES)


def anchor(heading):
    """Return a heading's anchor, as the site makes it."""
    return re.sub(r"[-\s]+", "-", re.sub(r"[^\w\s-]", "", heading.replace("`", "")).strip().lower())


@pytest.mark.parametrize("page", EVERYTHING, ids=lambda page: page.stem)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        name, _, place = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert not name.startswith(("http:", "https:")) or page == ROOT / "README.md", target
        assert file.exists(), target
        shown = {"model_card.md": CARD, "results.md": ROOT / "RESULTS.md"}.get(file.name, file)
        if place:
            assert place in [anchor(h) for h in re.findall(r"^#+ (.+)$", prose(shown), re.MULTILINE)], target


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_pages_are_short(page):
    assert len(page.read_text(encoding="utf-8").splitlines()) <= 210


def test_pictures_are_small_and_used():
    pictures = list((DOCS / "images").iterdir())
    assert sum(picture.stat().st_size for picture in pictures) < 1.5e6
    text = "".join(page.read_text(encoding="utf-8") for page in EVERYTHING)
    assert [picture.name for picture in pictures if f"images/{picture.name})" not in text] == []


def test_the_tables_of_formats_and_layouts_are_those_of_the_code():
    text = (DOCS / "keypoint_files.md").read_text(encoding="utf-8")
    assert text.partition("<!-- formats -->\n")[2].partition("\n<!-- end of formats -->")[0] == formats.listing()
    listed = {}
    for names, numbers in re.findall(r"^\| (`[^|]+) \| ([\d, ]+) \| .+\|$", text, re.MULTILINE):
        listed |= dict(zip(re.findall(r"`(\w+)`", names), map(int, numbers.split(", ")), strict=True))
    assert listed == {name: len(layout.joints) for name, layout in LAYOUTS.items()}
