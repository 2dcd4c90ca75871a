"""Parameters of the learned image codecs. No torch."""

from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from sc2.data.download import hash_in_name
from sc2.split.axes import RateAxis
from sc2.strict import Strict

QUALITIES = 8

Quality = Annotated[str, Field(pattern=r"^[1-8]$")]
_Width = Annotated[int, Field(gt=0)]
Pairs = list[tuple[_Width, _Width]]

AXIS = RateAxis(name="quality", symbol="q=", low=1, high=QUALITIES, number=int)


class Published(Strict):
    """A file of weights in CompressAI's layout."""

    url: str = Field(
        pattern=r"^(https?|file)://",
        description="Where it is published; a file of this name in the data "
        "folder (SC2_DATA, default data/) or its subfolder weights/ is preferred",
    )
    sha256: str | None = Field(
        default=None,
        pattern=r"^[0-9a-f]{8,64}$",
        description="SHA-256 of the file, or its first digits; not needed where its name contains them (…-446d5c7f.)",
    )

    @model_validator(mode="after")
    def _has_a_hash(self) -> Self:
        if self.sha256 is None and hash_in_name(self.url) is None:
            raise ValueError("the name of the file holds no hash: add sha256")
        return self


class Train(Strict):
    """The one phase; defaults are the papers' where there are any (docs/papers.md#learned-codecs)."""

    lambdas: list[Annotated[float, Field(gt=0)]] = Field(
        default=[0.0018, 0.0035, 0.0067, 0.013, 0.025, 0.0483, 0.0932, 0.18],
        min_length=QUALITIES,
        max_length=QUALITIES,
        description="Weight λ of the distortion by quality 1 … 8: bits per pixel per squared error of 8-bit values",
    )
    epochs: int = Field(default=10, ge=0, description="Passes over the training split; 0: published weights, unchanged")
    batch_size: int = Field(default=16, gt=0, description="Images per step")
    lr: float = Field(default=1e-4, gt=0, description="Peak learning rate of g_a and g_s: one cycle, Adam")
    entropy_lr: float = Field(default=1e-4, gt=0, description="Peak learning rate of the entropy model: same cycle")
    clip_norm: float = Field(default=1.0, gt=0, description="Largest norm of all gradients of a step together")
    quantiles_lr: float = Field(default=1e-3, gt=0, description="Learning rate of the quantiles' own Adam")
    start: Literal["random", "wavelet", "published"] = Field(
        default="random",
        description="random: the library's initial weights; wavelet: g_a and g_s as a Haar transform, for short "
        "schedules (ours); published: the files under `weights`",
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


class LearnedCodecArch(Strict):
    """Widths of the transforms; each codec adds its own default of `channels`."""

    channels: Pairs

    @model_validator(mode="after")
    def _one_pair_or_one_for_each(self) -> Self:
        if len(self.channels) not in (1, QUALITIES):
            raise ValueError(f"channels must list one pair (N, M), or {QUALITIES}, not {len(self.channels)}")
        return self

    def widths(self, quality: int) -> tuple[int, int]:
        """Return (N, M) of a quality, 1 … 8."""
        return self.channels[0] if len(self.channels) == 1 else self.channels[quality - 1]


def published_pairs(small: tuple[int, int], large: tuple[int, int], *, small_up_to: int) -> Any:
    """Return the field `channels` with CompressAI's default: `small` up to quality `small_up_to`, then `large`."""
    return Field(
        default=[small] * small_up_to + [large] * (QUALITIES - small_up_to),
        description="(N, M), width of the transforms and of the latent: one pair for all qualities, or one for each",
    )
