"""Input compression with WebP: Pillow's encoder at its defaults, one file per image (docs/papers.md#webp)."""

from sc2.methods.codec.method import CodecInput


class WebP(CodecInput):
    """WebP of the resized image."""

    format = "WEBP"


METHOD = WebP()
