"""Feature compression with WebP: Pillow's encoder at its defaults, one file per three channels.

Source: docs/papers.md#codec-feature-webp.
"""

from sc2.methods.codec_feature.method import CodecFeature


class CodecFeatureWebP(CodecFeature):
    """WebP of the features after a stage of the teacher."""

    format = "WEBP"


METHOD = CodecFeatureWebP()
