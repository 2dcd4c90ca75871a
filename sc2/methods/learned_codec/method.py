"""What input compression with a learned image codec has in common (spec 1.3, 2.4).

    device                                wire               server
    x ─ pad ─ g_a ─► y ─ round, coder ─► payload bytes ─► y_hat ─ g_s ─ un-pad ─ normalise ─ teacher ─► logits

The codecs are CompressAI's; one quality, 1 … 8, is one training with the price λ of distortion:
L = λ · 255² · MSE + bits per pixel. Its only phase, `train`, starts from fresh weights or from published ones; with the
latter it may have no epochs at all. The teacher stays as it is. The codec knows nothing of the task: it may be
that of another benchmark (`encoder_from`): then nothing is trained here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from sc2.data.download import hash_in_name
from sc2.split.axes import RateAxis
from sc2.split.method import BuildContext, Export, Method
from sc2.strict import Strict

if TYPE_CHECKING:
    from torch import Tensor

    from sc2.split.method import DeviceHalf, ServerHalf
    from sc2.training.recipe import Recipe

QUALITIES = 8

Quality = Annotated[str, Field(pattern=r"^[1-8]$")]
_Width = Annotated[int, Field(gt=0)]
Pairs = list[tuple[_Width, _Width]]


class Published(Strict):
    """A file of weights in CompressAI's own layout."""

    url: str = Field(
        pattern=r"^(https?|file)://",
        description="Where it is published; a file of this name in the data "
        "folder (SC2_DATA, default data/) or its subfolder weights/ is taken first",
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{8,64}$",
        description="SHA-256 of the file or its first digits; not needed where its name holds them (…-446d5c7f.)",
    )

    @model_validator(mode="after")
    def _has_a_hash(self) -> Self:
        if self.sha256 is None and hash_in_name(self.url) is None:
            raise ValueError("the name of the file holds no hash: add sha256")
        return self


class Train(Strict):
    """The one phase; defaults are the papers' where they say (spec 1.3), for patches of natural images."""

    lambdas: list[Annotated[float, Field(gt=0)]] = Field(
        default=[0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932, 0.18],
        min_length=QUALITIES,
        max_length=QUALITIES,
        description="Weight λ of the distortion by quality 1 … 8: bits per pixel per squared error of 8-bit values",
    )
    epochs: int = Field(
        default=10, ge=0, description="Passes over the training split; 0: published weights as they are"
    )
    batch_size: int = Field(default=16, gt=0, description="Images per step")
    lr: float = Field(default=1e-4, gt=0, description="Peak learning rate of g_a and g_s: one cycle, Adam")
    entropy_lr: float = Field(default=1e-4, gt=0, description="Peak learning rate of the entropy model, the same cycle")
    clip_norm: float = Field(default=1.0, gt=0, description="Largest norm of a step's gradients, all together")
    quantiles_lr: float = Field(default=1e-3, gt=0, description="Learning rate of the quantiles' own Adam")
    start: Literal["random", "wavelet", "published"] = Field(
        default="random",
        description="random: the library's initial weights; wavelet: g_a and g_s as a Haar transform, for short "
        "schedules (ours); published: those under `weights`",
    )
    weights: dict[Quality, Published] = Field(default={}, description="Published weights by quality, in quotes")

    @model_validator(mode="after")
    def _something_to_start_from(self) -> Self:
        if self.epochs == 0 and self.start != "published":
            raise ValueError("epochs: 0 trains nothing: set start: published, or more epochs")
        return self


class Phases(Strict):
    """The training phases in order."""

    train: Train = Train()


class NeuralParams(Strict):
    """Widths and schedule; each codec adds its own default of `channels`."""

    channels: Pairs
    phases: Phases = Phases()

    @model_validator(mode="after")
    def _one_pair_or_one_for_each(self) -> Self:
        if len(self.channels) not in (1, QUALITIES):
            raise ValueError(f"channels must list one pair (N, M), or {QUALITIES}, not {len(self.channels)}")
        return self


def published_pairs(small: tuple[int, int], large: tuple[int, int], *, small_up_to: int) -> Any:
    """Return the field `channels` whose default is CompressAI's: `small` up to a quality, `large` above it."""
    return Field(
        default=[small] * small_up_to + [large] * (QUALITIES - small_up_to),
        description="(N, M), width of the transforms and of the latent: one pair for all qualities, or one for each",
    )


class NeuralInput(Method):
    """Input compression with one of CompressAI's models.

    Attributes:
        codec: CompressAI's name of the class.
    """

    family = "learned_codec"
    rate_axis = RateAxis(name="quality", symbol="q=", low=1, high=QUALITIES, integer=True)
    takes_encoder = True
    trains_encoder_only = True
    codec: ClassVar[str]

    def estimate_bits(self, device: DeviceHalf, latent: Any) -> float | None:
        """Ideal code length of the symbols under the device's tables, bits."""
        from sc2.methods.learned_codec.halves import NeuralDevice

        assert isinstance(device, NeuralDevice)
        return device.bits(latent)

    def training(self, phase: str, params: Mapping[str, Any], context: BuildContext) -> Recipe:
        """Return the recipe of `train`."""
        from sc2.methods.learned_codec.training import rate_distortion_recipe

        if phase != "train":
            return super().training(phase, params, context)
        return rate_distortion_recipe(params, context, self.codec)

    def export(self, context: BuildContext, state: Mapping[str, Tensor] | None) -> Export:
        """Split the trained codec after the entropy coder, and put the teacher behind it."""
        from sc2.methods.learned_codec.export import split

        assert state is not None
        return split(context, self.codec, state)

    def load_device(self, blob: Mapping[str, Any]) -> DeviceHalf:
        """Build g_a and the entropy model."""
        from sc2.methods.learned_codec.halves import NeuralDevice

        return NeuralDevice(blob)

    def load_server(self, blob: Mapping[str, Any]) -> ServerHalf:
        """Build the entropy model, g_s and the teacher."""
        from sc2.methods.learned_codec.halves import NeuralServer

        return NeuralServer(blob)
