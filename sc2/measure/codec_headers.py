"""How many bytes of a codec's file are headers and tables rather than coded pixels.

At 64 × 64 pixels a JPEG is mostly tables; the tables of the report show them in a column of their own. Formats:
ITU-T T.81 (JPEG), RFC 9649 and RFC 6386 (WebP), RFC 2083 (PNG). Each parser is strict: what it cannot account for is
an error.
"""

from collections.abc import Callable

from sc2.errors import ConfigError, WireError

# JPEG markers (the byte after 0xFF).
_SOI, _EOI, _SOS, _TEM = 0xD8, 0xD9, 0xDA, 0x01
_RESTARTS = range(0xD0, 0xD8)

# WebP: for each chunk with coded pixels, the bytes at its start that are a header.
# VP8: frame tag 3, start code 3, dimensions 4. VP8L: signature 1, dimensions and version 4. ALPH: method 1.
_WEBP_IMAGE_HEADERS = {b"VP8 ": 10, b"VP8L": 5, b"ALPH": 1}
_WEBP_HEADER_CHUNKS = {b"VP8X", b"ICCP", b"EXIF", b"XMP "}
_VP8_START_CODE = b"\x9d\x01\x2a"
_VP8L_SIGNATURE = b"\x2f"

_PNG_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PNG_CHUNK_FRAME = 12  # Length, name and checksum of a chunk, 4 bytes each.
_ZLIB_FRAME = 6  # Header 2 and checksum 4 around the deflated lines, which may be spread over several IDAT chunks.


def codec_header_bytes(data: bytes, format: str) -> int:
    """Return how many bytes of an image file are not entropy-coded image data.

    Args:
        data: One whole file.
        format: `jpeg`, `webp` or `png`.

    Returns:
        Bytes, in 0 … `len(data)`. JPEG: all but the scans; stuffed zeros and restart markers inside a scan belong to
        the scan. WebP: RIFF and chunk headers, the bitstream's own fixed header, metadata and padding. The
        probabilities at the start of a VP8 frame are entropy-coded themselves and count as image data. PNG: all but
        the deflated lines, so the zlib header and checksum count too.

    Raises:
        ConfigError: There is no parser for the format.
        WireError: The file is damaged, or of a kind that is not handled (an animation, a VP8 inter frame).
    """
    if format not in _PARSERS:
        raise ConfigError(f"no header parser for format {format!r}; known: {', '.join(sorted(_PARSERS))}")
    return _PARSERS[format](data)


def _jpeg(data: bytes) -> int:
    if data[:2] != bytes((0xFF, _SOI)):
        raise WireError("not a JPEG file: it does not start with FF D8")
    position, scan_bytes = 2, 0
    while True:
        marker, position = _jpeg_marker(data, position)
        if marker == _EOI:
            break
        position = _skip_segment(data, position)
        if marker == _SOS:
            end = _scan_end(data, position)
            scan_bytes += end - position
            position = end
    if position != len(data):
        raise WireError(f"the JPEG file goes on for {len(data) - position} bytes after its end marker")
    return len(data) - scan_bytes


def _jpeg_marker(data: bytes, position: int) -> tuple[int, int]:
    """Return the marker at `position` and where its segment starts; any number of FF may precede the marker."""
    if position < len(data) and data[position] != 0xFF:
        raise WireError(f"the JPEG file is damaged: no marker at byte {position}")
    while position < len(data) and data[position] == 0xFF:
        position += 1
    if position >= len(data):
        raise WireError("the JPEG file is truncated: it has no end marker")
    marker = data[position]
    if marker in (0x00, _TEM, _SOI) or marker in _RESTARTS:
        raise WireError(f"the JPEG file is damaged: marker FF {marker:02X} at byte {position} outside a scan")
    return marker, position + 1


def _skip_segment(data: bytes, position: int) -> int:
    length = int.from_bytes(data[position : position + 2], "big")
    if position + 2 > len(data) or position + length > len(data):
        raise WireError(f"the JPEG file is truncated in the segment at byte {position}")
    if length < 2:
        raise WireError(f"the JPEG file is damaged: the segment at byte {position} has length {length}")
    return position + length


def _scan_end(data: bytes, position: int) -> int:
    """Return where the marker after a scan starts; FF 00 and restart markers are inside the scan."""
    while True:
        start = data.find(b"\xff", position)
        position = start + 1
        while start >= 0 and position < len(data) and data[position] == 0xFF:
            position += 1
        if start < 0 or position >= len(data):
            raise WireError("the JPEG file is truncated in a scan")
        if data[position] != 0x00 and data[position] not in _RESTARTS:
            return start


def _webp(data: bytes) -> int:
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP":
        raise WireError("not a WebP file: it does not start with RIFF and WEBP")
    announced = int.from_bytes(data[4:8], "little") + 8
    if announced != len(data):
        raise WireError(f"the WebP file has {len(data)} bytes, but its header announces {announced}")
    position, image_bytes, images = 12, 0, 0
    while position < len(data):
        name, content, position = _webp_chunk(data, position)
        if name in _WEBP_IMAGE_HEADERS:
            image_bytes += len(content) - _image_header(name, content)
            images += name != b"ALPH"
        elif name not in _WEBP_HEADER_CHUNKS:
            raise WireError(f"the WebP file holds a chunk {name!r}, which is not handled (an animation?)")
    if images != 1:
        raise WireError(f"the WebP file holds {images} images, not one")
    return len(data) - image_bytes


def _webp_chunk(data: bytes, position: int) -> tuple[bytes, bytes, int]:
    """Return name and content of the chunk at `position`, and where the next one starts (chunks have even length)."""
    name, length = data[position : position + 4], int.from_bytes(data[position + 4 : position + 8], "little")
    start = position + 8
    end = start + length + length % 2
    if end > len(data):
        raise WireError(f"the WebP file is truncated in the chunk {name!r} at byte {position}")
    return name, data[start : start + length], end


def _image_header(name: bytes, content: bytes) -> int:
    size = _WEBP_IMAGE_HEADERS[name]
    if len(content) < size:
        raise WireError(f"the WebP file is damaged: its chunk {name!r} has only {len(content)} bytes")
    # Bit 0 of the frame tag is clear for a key frame; only key frames carry the start code and dimensions.
    if name == b"VP8 " and (content[0] & 1 or content[3:6] != _VP8_START_CODE):
        raise WireError("the WebP file is damaged: its VP8 chunk does not start with a key frame")
    if name == b"VP8L" and content[:1] != _VP8L_SIGNATURE:
        raise WireError("the WebP file is damaged: its VP8L chunk does not start with 2F")
    return size


def _png(data: bytes) -> int:
    if not data.startswith(_PNG_SIGNATURE):
        raise WireError("not a PNG file: it does not start with its signature")
    position, image_bytes, name = len(_PNG_SIGNATURE), 0, b""
    while position < len(data):
        length, name = int.from_bytes(data[position : position + 4], "big"), data[position + 4 : position + 8]
        end = position + _PNG_CHUNK_FRAME + length
        if end > len(data):
            raise WireError(f"the PNG file is truncated in the chunk {name!r} at byte {position}")
        image_bytes += length if name == b"IDAT" else 0
        position = end
        if name == b"IEND":
            break
    if name != b"IEND":
        raise WireError("the PNG file is truncated: it has no end chunk")
    if position != len(data):
        raise WireError(f"the PNG file goes on for {len(data) - position} bytes after its end chunk")
    if image_bytes < _ZLIB_FRAME:
        raise WireError(f"the PNG file is damaged: {image_bytes} bytes of image data")
    return len(data) - (image_bytes - _ZLIB_FRAME)


_PARSERS: dict[str, Callable[[bytes], int]] = {"jpeg": _jpeg, "webp": _webp, "png": _png}
