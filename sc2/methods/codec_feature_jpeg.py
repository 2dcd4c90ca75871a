"""Feature compression with JPEG: Pillow's encoder at its defaults, one file per three channels.

Source: docs/papers.md#codec-feature-jpeg.
"""

from sc2.methods._codec_feature import CodecFeature


class CodecFeatureJpeg(CodecFeature):
    """JPEG of the features behind a stage of the reference model."""

    format = "JPEG"


METHOD = CodecFeatureJpeg()
