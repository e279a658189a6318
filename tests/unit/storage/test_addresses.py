from __future__ import annotations

from base64 import urlsafe_b64encode
from urllib.parse import urlsplit

import pytest
from cryptography.hazmat.primitives.ciphers.aead import AESSIV
from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.storage.addresses import PublicAddresses, StableAddresses
from media_pipeline.storage.store import InvalidPath

BASE = "https://media.example.com"
PATH = "media/ann/0192f0c1-5a4e-7f3e-9a4c-1b2c3d4e5f60/holiday ü.png"
STABLE = StableAddresses(BASE, b"k" * 32)
SEGMENTS = st.text(st.characters(categories=["L", "N", "P", "Zs"], exclude_characters="/\\"), min_size=1)


def capability_of(path: str) -> str:
    return STABLE.url(path).removeprefix(f"{BASE}/m/")


@given(st.lists(SEGMENTS.filter(lambda part: part not in {".", ".."}), min_size=1, max_size=4).map("/".join))
def test_an_address_opens_to_its_path_and_is_always_the_same(path: str) -> None:
    """Any path comes back, and a second process with the same secret makes the same address."""
    assert StableAddresses(BASE + "/", b"k" * 32).url(path) == STABLE.url(path)
    assert STABLE.open(capability_of(path)) == path


def test_an_address_is_one_plain_segment_that_tells_nothing() -> None:
    """Neither user nor job nor name can be read from it, and no character of it needs escaping."""
    capability = capability_of(PATH)
    assert urlsplit(STABLE.url(PATH)).path == f"/m/{capability}"
    assert capability.replace("-", "").replace("_", "").isalnum()
    assert len(capability) < 120
    assert capability_of(PATH)[:20] != capability_of(PATH + "x")[:20]


@given(st.integers(min_value=0), st.integers(min_value=1, max_value=63))
def test_one_other_character_opens_nothing(place: int, step: int) -> None:
    """Whoever alters an address, wherever, has none."""
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    good = capability_of(PATH)
    place %= len(good)
    other = letters[(letters.index(good[place]) + step) % 64]
    with pytest.raises(InvalidPath):
        STABLE.open(good[:place] + other + good[place + 1 :])


@pytest.mark.parametrize(
    "capability", ["", "x", "A" * 22, "A" * 23, "A" * 200, "=" * 40, "ü" * 40, "a/b" * 20, "A" * 40 + "\n"]
)
def test_what_was_not_made_here_opens_nothing(capability: str) -> None:
    """Guesses, other alphabets and other lengths are all the same: no address."""
    with pytest.raises(InvalidPath):
        STABLE.open(capability)


def test_padding_makes_no_second_address() -> None:
    """An object has one address, not several spellings."""
    with pytest.raises(InvalidPath):
        STABLE.open(capability_of(PATH) + "=")


def test_another_secret_opens_nothing() -> None:
    """An address is good only where its secret is."""
    with pytest.raises(InvalidPath):
        StableAddresses(BASE, b"o" * 32).open(capability_of(PATH))


def test_what_is_sealed_is_what_the_standard_says() -> None:
    """The bytes are those of RFC 5297 over the path, so that another program can make and open them."""
    sealed = AESSIV(b"k" * 32).encrypt(PATH.encode(), None)
    assert capability_of(PATH) == urlsafe_b64encode(sealed).decode().rstrip("=")


def test_a_public_address_is_the_path_under_the_base() -> None:
    """The path is percent-encoded once, with its slashes."""
    addresses = PublicAddresses("https://cdn.example.com/media-bucket/")
    assert (
        addresses.url("media/a b/ü?.png") == "https://cdn.example.com/media-bucket/media/a%20b/%C3%BC%3F.png"
    )


@pytest.mark.parametrize("path", ["", "/a", "a/../b", "a\\b"])
def test_what_names_no_object_has_no_address(path: str) -> None:
    """An address is never made of a path that a store would refuse."""
    for addresses in (STABLE, PublicAddresses(BASE)):
        with pytest.raises(InvalidPath):
            addresses.url(path)
