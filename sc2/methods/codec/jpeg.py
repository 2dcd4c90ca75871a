"""Input compression with JPEG: Pillow's encoder at its defaults, one file per image (spec 1.2)."""

from sc2.methods.codec.method import CodecInput


class Jpeg(CodecInput):
    """JPEG of the resized image."""

    format = "JPEG"


METHOD = Jpeg()
