"""Reading `multipart/form-data` (RFC 7578): what stands between the boundaries."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from email.message import Message
from email.parser import HeaderParser


@dataclass(frozen=True)
class Part:
    """One part of a form: a field, or a file where it has a name."""

    name: str
    data: bytes
    filename: str | None
    content_type: str


class NoForm(ValueError):
    """The body is no form, or ends in the middle."""


def read_form(headers: Mapping[str, str], body: bytes) -> list[Part]:
    """Return the parts in their order; raises `NoForm`."""
    kind = _headers(f"Content-Type: {headers.get('content-type', '')}")
    boundary = kind.get_param("boundary")
    if kind.get_content_type() != "multipart/form-data" or not isinstance(boundary, str):
        raise NoForm
    _, *parts, end = (b"\r\n" + body).split(b"\r\n--" + boundary.encode())
    if not end.startswith(b"--"):
        raise NoForm
    return [_part(part) for part in parts]


def _part(raw: bytes) -> Part:
    head, _, data = raw.partition(b"\r\n\r\n")
    headers = _headers(head.decode())
    name = headers.get_param("name", header="content-disposition")
    if not isinstance(name, str):
        raise NoForm
    return Part(name, data, headers.get_filename(), headers.get_content_type())


def _headers(text: str) -> Message:
    return HeaderParser().parsestr(text.strip())
