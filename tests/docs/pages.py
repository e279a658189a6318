"""The project's pages and the blocks of code in them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PLACES: Final = ("*.md", "docs/**/*.md", "deploy/**/*.md", "examples/*/README.md", "web/packages/*/README.md")
PAGES: Final = sorted({str(page.relative_to(ROOT)) for place in PLACES for page in ROOT.glob(place)})


@dataclass(frozen=True)
class Block:
    """Code that a page shows; `language` is empty where none is named."""

    page: str
    language: str
    code: str


def read(page: str) -> str:
    return (ROOT / page).read_text("utf-8")


def list_blocks(page: str) -> list[Block]:
    found = re.findall(r"^```([^\n]*)\n(.*?)^```$", read(page), re.MULTILINE | re.DOTALL)
    return [Block(page, language, code) for language, code in found]
