"""Feature compression with WebP: Pillow's encoder at its defaults, one file per three channels.

Source: docs/papers.md#codec-feature-webp.
"""

from sc2.methods._codec_feature import CodecFeature


class CodecFeatureWebP(CodecFeature):
    """WebP of the features behind a stage of the reference model."""

    format = "WEBP"


METHOD = CodecFeatureWebP()
