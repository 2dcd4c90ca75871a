"""Input compression with JPEG: Pillow's encoder at its defaults, one file per image (docs/papers.md#jpeg)."""

from sc2.methods.codec.method import CodecInput


class Jpeg(CodecInput):
    """JPEG of the resized image."""

    format = "JPEG"


METHOD = Jpeg()
