"""What a configuration says of layers that several families share. No torch."""

from pydantic import Field

from sc2.strict import Strict


class StridedChannels(Strict):
    """Channels of the papers' encoder and decoder, `sc2.layers.bottleneck` (docs/papers.md#fp-bottleneck)."""

    encoder_channels: list[int] = Field(
        default=[96, 48, 24], min_length=3, max_length=3, description="Channels of g_a's convolutions, the last y's"
    )
    decoder_channels: list[int] = Field(
        default=[512, 256], min_length=2, max_length=2, description="Channels of g_s's hidden convolutions"
    )

    @property
    def latent_channels(self) -> int:
        """Channels of the latent y."""
        return self.encoder_channels[-1]
