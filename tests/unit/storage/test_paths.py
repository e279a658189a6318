from __future__ import annotations

import unicodedata
from pathlib import PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media_pipeline.ids import JobId, UserId
from media_pipeline.storage.paths import (
    Owned,
    check_path,
    decode_user,
    derived_prefix,
    encode_user,
    image_path,
    job_of_path,
    preview_path,
    read_path,
    safe_filename,
    upload_path,
    user_root,
    video_path,
)
from media_pipeline.storage.store import InvalidPath

JOB = JobId("0b0e7a3c-5f0d-4f4e-9d43-8a1d2c3b4a5f")
USERS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=80).map(UserId)
NAMES = st.text(max_size=300) | st.from_regex(r"\A[./\\\u202e\u0000-\u001f]{0,5}.{0,260}\.[a-z]{1,5}\Z")
BIDI = "\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


def test_the_given_paths_are_as_given() -> None:
    """Images, videos and uploads live exactly where the contract says."""
    user = UserId("ann@example.com")
    assert user_root(user) == "media/ann=40example=2Ecom/"
    assert image_path(user, JOB, 0) == f"media/ann=40example=2Ecom/images/{JOB}_0.png"
    assert video_path(user, JOB, 3) == f"media/ann=40example=2Ecom/videos/{JOB}_3.mp4"
    assert upload_path(user, JOB, "a b.png") == f"media/ann=40example=2Ecom/{JOB}/a b.png"
    assert derived_prefix(user, JOB) == f"derived/ann=40example=2Ecom/{JOB}/"
    assert preview_path(user, JOB, 1, number=2) == f"derived/ann=40example=2Ecom/{JOB}/preview_1_2"


@given(USERS)
def test_a_user_is_read_back_from_the_path(user: UserId) -> None:
    """Encoding a user's id loses nothing and leaves one plain segment."""
    segment = encode_user(user)
    assert decode_user(segment) == user
    assert all(character.isascii() and (character.isalnum() or character in "_-=") for character in segment)


@given(USERS, USERS)
def test_no_user_reaches_into_another_root(one: UserId, other: UserId) -> None:
    """Different users have roots of which none is a prefix of the other."""
    if one != other:
        assert not user_root(one).startswith(user_root(other))


@given(USERS, NAMES)
def test_no_filename_leaves_its_folder(user: UserId, name: str) -> None:
    """Whatever a file is called, its upload stands directly in the job's folder of its user."""
    path = upload_path(user, JOB, name) if len(user.encode()) <= 255 else ""
    if path:
        assert path.startswith(f"{user_root(user)}{JOB}/")
        assert path.count("/") == 3
        assert check_path(path) == path


@pytest.mark.parametrize(
    "segment", ["", "=", "=4", "=4g", "=2f", "=41", "a@b", "=FF", "a/b", "=ED=A0=80", "a\n"]
)
def test_only_what_was_encoded_is_decoded(segment: str) -> None:
    """A segment that encode_user never writes names no user."""
    with pytest.raises(InvalidPath):
        decode_user(segment)


@pytest.mark.parametrize("user", ["", "\ud800"])
def test_an_impossible_user_has_no_root(user: str) -> None:
    """An empty id and one that is not Unicode are refused."""
    with pytest.raises(InvalidPath):
        user_root(UserId(user))


def test_the_longest_usual_user_still_has_room() -> None:
    """255 bytes of id, all of them escaped, leave room for the longest filename."""
    assert upload_path(UserId("@" * 255), JOB, "n" * 300 + ".png").endswith("n.png")


def test_a_user_too_long_for_a_path_is_refused() -> None:
    """An id that leaves no room for the path raises InvalidPath."""
    with pytest.raises(InvalidPath):
        image_path(UserId("@" * 400), JOB, 0)


@given(NAMES)
def test_cleaning_a_filename_twice_changes_nothing(name: str) -> None:
    """safe_filename is idempotent."""
    assert safe_filename(safe_filename(name)) == safe_filename(name)


@given(NAMES)
def test_a_clean_filename_is_plain(name: str) -> None:
    """NFC, 1 to 200 bytes, no separators, control or bidirectional characters, no leading dot."""
    clean = safe_filename(name)
    assert unicodedata.is_normalized("NFC", clean)
    assert 1 <= len(clean.encode()) <= 200
    assert not clean.startswith(".")
    assert not any(character in "/\\" + BIDI for character in clean)
    assert not any(unicodedata.category(character) in {"Cc", "Cs"} for character in clean)


@given(st.text("aä🎨", min_size=1, max_size=300), st.text("pngjpegé", min_size=1, max_size=8))
def test_a_long_filename_keeps_its_extension(stem: str, extension: str) -> None:
    """However much is cut, the extension stays."""
    kept = PurePosixPath(safe_filename(f"{stem}.{extension}")).suffix
    assert kept == "." + unicodedata.normalize("NFC", extension)


@pytest.mark.parametrize(
    ("name", "clean"),
    [
        ("holiday.png", "holiday.png"),
        ("Ünïcødé 🎨.jpeg", "Ünïcødé 🎨.jpeg"),
        ("e\u0301.png", "\u00e9.png"),
        ("../../etc/passwd", "etcpasswd"),
        ("C:\\temp\\x.png", "C:tempx.png"),
        ("...hidden.png", "hidden.png"),
        ("gpj\u202egnp.exe", "gpjgnp.exe"),
        ("line\r\nbreak.png", "linebreak.png"),
        ("\ud800.png", "png"),
        ("", "file"),
        ("..", "file"),
        ("/", "file"),
        (".\x00.", "file"),
        ("a." + "x" * 300, "a." + "x" * 198),
    ],
)
def test_known_filenames(name: str, clean: str) -> None:
    """Names that were met in the wild become what a person expects."""
    assert safe_filename(name) == clean


@pytest.mark.parametrize(
    ("path", "index"),
    [
        (image_path(UserId("a@b"), JOB, 0), 0),
        (video_path(UserId("a@b"), JOB, 12), 12),
        (upload_path(UserId("a@b"), JOB, "holiday_0.png"), None),
    ],
)
def test_a_path_is_read_back(path: str, index: int | None) -> None:
    """Owner, job and number of an object come back out of its path."""
    assert read_path(path) == Owned(path, UserId("a@b"), JOB, index)


@pytest.mark.parametrize(
    "path",
    [
        f"media/u/images/{JOB}_0.mp4",
        f"media/u/images/{JOB}_01.png",
        f"media/u/images/{JOB}_x.png",
        f"media/u/images/{JOB}.png",
        f"media/u/images/{JOB.upper()}_0.png",
        "media/u/videos/by-hand_0.mp4",
        "media/u/by-hand/a.png",
        f"media/u@/{JOB}/a.png",
        f"media/u/{JOB}/deep/a.png",
        f"derived/u/{JOB}/thumbnail_0.webp",
        f"media/{JOB}",
    ],
)
def test_a_path_that_we_never_write_is_nobodys(path: str) -> None:
    """What was put into a bucket by hand is not taken for an item."""
    assert read_path(path) is None


@pytest.mark.parametrize(
    ("path", "job"),
    [
        (f"media/u/images/{JOB}_0.png", JOB),
        (f"media/u/videos/{JOB}_12.mp4", JOB),
        (f"media/u/{JOB}/holiday.png", JOB),
        (f"derived/u/{JOB}/thumbnail.webp", JOB),
        (f"media/u/images/{JOB}.png", None),
        ("media/u/file.png", None),
        ("media/u/by-hand/file.png", None),
        (f"media/u/{JOB}/deep/file.png", None),
        (f"other/u/{JOB}/file.png", None),
    ],
)
def test_a_path_tells_its_job(path: str, job: str | None) -> None:
    """The job that an object was written for is read off its path, and none off any other."""
    assert job_of_path(path) == job
