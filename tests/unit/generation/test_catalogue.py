"""Models are data, and the user's file has the last word."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from media_pipeline.generation.catalogue import Catalogue, CatalogueError

ADDED = """
[[acme]]
id = "brush"
kind = "image"
progress = "steps"
sizes = {"1:1" = [512, 512], "2:1" = [1024, 512]}
roles = ["reference"]
sunset = 2027-01-31
price = {usd = 0.02, per = "image"}
"""


def loaded(folder: Path, text: str, *, name: str = "models.toml") -> Catalogue:
    path = folder / name
    path.write_text(text)
    return Catalogue.load(path)


def test_a_file_adds_a_model(tmp_path: Path) -> None:
    """An entry of the user's file is a model with everything the entry says."""
    [model] = loaded(tmp_path, ADDED).of("acme")
    assert (model.id, model.label, model.sizes["2:1"]) == ("brush", "brush", (1024, 512))
    assert (model.sunset, model.price and model.price.usd) == (date(2027, 1, 31), 0.02)
    assert model.roles == {"reference"}


def test_json_is_read_as_well(tmp_path: Path) -> None:
    """A file whose name ends in .json is JSON."""
    text = '{"acme": [{"id": "brush", "kind": "image", "progress": "steps"}]}'
    assert [model.id for model in loaded(tmp_path, text, name="m.json").of("acme")] == ["brush"]


def test_an_entry_changes_what_it_names(tmp_path: Path) -> None:
    """A second entry of the same model changes its own fields and leaves the rest."""
    more = (
        '[[acme]]\nid = "brush"\nlabel = "Brush"\n[[acme]]\nid = "pen"\nkind = "image"\nprogress = "logs"\n'
    )
    brush, pen = loaded(tmp_path, ADDED + more).of("acme")
    assert (brush.label, brush.sizes["1:1"], pen.id) == ("Brush", (512, 512), "pen")


def test_a_model_can_be_taken_out(tmp_path: Path) -> None:
    """`enabled = false` removes a model."""
    assert loaded(tmp_path, ADDED + '[[acme]]\nid = "brush"\nenabled = false\n').of("acme") == ()


@pytest.mark.parametrize(
    ("text", "named"),
    [
        pytest.param("[[acme]]\nkind = 'image'\n", "has no id", id="no id"),
        pytest.param("[[acme]]\nid = 'a'\n", "must say its kind", id="no kind"),
        pytest.param("[[acme]]\nid = 'a'\nkind = 'image'\ncolour = 1\n", "colour", id="a field misspelt"),
        pytest.param("[[acme]]\nid = 'a'\nkind = 'sound'\nprogress = 'steps'\n", "sound", id="no such kind"),
        pytest.param("acme = 3\n", "[[replicate]]", id="no array"),
        pytest.param("= =", "cannot be read", id="no TOML"),
    ],
)
def test_a_wrong_file_is_told(text: str, named: str, tmp_path: Path) -> None:
    """A file that is not right stops the start with a sentence that names what is wrong."""
    with pytest.raises(CatalogueError, match=r"acme|models\.toml") as caught:
        loaded(tmp_path, text)
    assert named in str(caught.value)


def test_the_packaged_models_are_right() -> None:
    """Everything that ships can be read."""
    assert isinstance(Catalogue.load(), Catalogue)
