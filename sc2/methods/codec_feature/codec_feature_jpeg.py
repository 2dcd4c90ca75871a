"""Feature compression with JPEG: Pillow's encoder at its defaults, one file per three channels.

Source: docs/papers.md#codec-feature-jpeg.
"""

from sc2.methods.codec_feature.method import CodecFeature


class CodecFeatureJpeg(CodecFeature):
    """JPEG of the features after a stage of the teacher."""

    format = "JPEG"


METHOD = CodecFeatureJpeg()
