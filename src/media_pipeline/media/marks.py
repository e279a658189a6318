"""Where a picture comes from, written into it: an XMP packet, and the text of a PNG.

A PNG is changed chunk by chunk, so its pixel bytes stay as they were (PNG third edition, section 5).
Whatever follows its end is dropped.
"""

from __future__ import annotations

import re
import struct
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import takewhile
from mmap import mmap
from typing import Final
from xml.sax.saxutils import escape, unescape

PNG_SIGNATURE: Final = b"\x89PNG\r\n\x1a\n"
_HEADER: Final = struct.Struct(">I4s")
_CHECKSUM: Final = struct.Struct(">I")
_XMP_KEY: Final = "XML:com.adobe.xmp"
"""The keyword that the XMP specification (part 3, 1.1.5) gives to XMP in PNG."""
_TEXT_KINDS: Final = frozenset({b"tEXt", b"zTXt", b"iTXt"})
_KEY_MAX: Final = 79
_PLAIN: Final = b"\0" * 5
"""After a keyword: not compressed, of no language, without a translated keyword."""
_FACT: Final = re.compile(r"<made:(\w+)>(.*?)</made:\1>", re.DOTALL)
_NOT_XML: Final = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 (section 2.2) has no way to write."""

_PACKET: Final = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:made="urn:media-pipeline:made">
   <xmp:CreatorTool>{software}</xmp:CreatorTool>
   <Iptc4xmpExt:DigitalSourceType>{source}</Iptc4xmpExt:DigitalSourceType>
{facts}  </rdf:Description>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="w"?>"""


class Malformed(ValueError):
    """The file is not built as its format says."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """One chunk of a PNG."""

    kind: bytes
    body: bytes

    def packed(self) -> bytes:
        """Return it with its length and checksum."""
        checksum = _CHECKSUM.pack(zlib.crc32(self.body, zlib.crc32(self.kind)))
        return _HEADER.pack(len(self.body), self.kind) + self.body + checksum

    def key(self) -> str | None:
        """Return the keyword of a text chunk."""
        return self.body.split(b"\0", 1)[0].decode("latin-1") if self.kind in _TEXT_KINDS else None


def xmp_packet(digital_source_type: str, *, software: str, facts: Mapping[str, str] | None = None) -> bytes:
    """Return an XMP packet that says how media was made.

    `digital_source_type` is a URI of the IPTC vocabulary cv.iptc.org/newscodes/digitalsourcetype;
    `facts` (names that XML allows, such as prompt and seed) stand in a namespace of this project.
    """
    elements = "".join(
        f"   <made:{name}>{_escape(value)}</made:{name}>\n" for name, value in (facts or {}).items()
    )
    source, tool = _escape(digital_source_type), _escape(software)
    return _PACKET.format(source=source, software=tool, facts=elements).encode()


def read_facts(xmp: bytes) -> dict[str, str]:
    """Return the `facts` that `xmp_packet` wrote; none of another's packet."""
    return {name: unescape(value) for name, value in _FACT.findall(xmp.decode(errors="replace"))}


def png_xmp(data: bytes | mmap) -> bytes:
    """Return the XMP that stands before a PNG's pixels, as `mark_png` puts it; empty where there is none."""
    for chunk in takewhile(lambda chunk: chunk.kind != b"IDAT", read_chunks(data)):
        if chunk.kind == b"iTXt" and chunk.key() == _XMP_KEY:
            return chunk.body[len(_XMP_KEY) + len(_PLAIN) :]
    return b""


def _escape(value: str) -> str:
    return escape(_NOT_XML.sub("", value))


def mark_png(data: bytes, *, text: Mapping[str, str], xmp: bytes) -> bytes:
    """Return the PNG with `text` and `xmp`, replacing text of the same keywords and other XMP.

    Raises `Malformed` when the chunks do not add up.
    """
    header, *rest = read_chunks(data)
    replaced = {*text, _XMP_KEY}
    kept = [chunk for chunk in rest if chunk.key() not in replaced]
    added = [_text_chunk(key, value.encode()) for key, value in text.items()]
    chunks = [header, *added, _text_chunk(_XMP_KEY, xmp), *kept]
    return PNG_SIGNATURE + b"".join(chunk.packed() for chunk in chunks)


def read_chunks(data: bytes | mmap) -> Iterator[Chunk]:
    """Yield the chunks from IHDR to IEND; raises `Malformed`."""
    beginning = PNG_SIGNATURE + b"\0\0\0\rIHDR"
    if data[: len(beginning)] != beginning:
        raise Malformed("no PNG signature and header")
    place = len(PNG_SIGNATURE)
    while True:
        chunk = _chunk_at(data, place)
        yield chunk
        if chunk.kind == b"IEND":
            return
        place += _HEADER.size + len(chunk.body) + _CHECKSUM.size


def _chunk_at(data: bytes | mmap, place: int) -> Chunk:
    try:
        length, kind = _HEADER.unpack_from(data, place)
        start = place + _HEADER.size
        (checksum,) = _CHECKSUM.unpack_from(data, start + length)
    except struct.error as error:
        raise Malformed("a chunk is cut off") from error
    body = data[start : start + length]
    if checksum != zlib.crc32(body, zlib.crc32(kind)):
        raise Malformed("a checksum is wrong")
    return Chunk(kind, body)


def _text_chunk(key: str, value: bytes) -> Chunk:
    """An international text chunk: keyword, not compressed, no language, UTF-8."""
    keyword = key.encode("latin-1")
    if not 1 <= len(keyword) <= _KEY_MAX or b"\0" in keyword:
        raise ValueError(f"{key!r} is not a PNG keyword")
    return Chunk(b"iTXt", keyword + _PLAIN + value.replace(b"\0", b""))
