"""Hyperpriors on the wire against CompressAI's models: same tables, symbols and sizes; damaged and foreign streams."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from sc2.entropy.coder import VERSION, StreamEncoder
from sc2.entropy.densities import gaussian_tables, hyperprior_tables
from sc2.entropy.exact_arrays import ONE
from sc2.entropy.hyperprior import GaussianCoder, HyperpriorCoder, HyperSymbols
from sc2.errors import WireError

CHANNELS, HYPER = 20, 16
MODELS = ("ScaleHyperprior", "MeanScaleHyperprior")


class Trained:
    """A CompressAI model whose h_s spreads the scales over many tables, with a latent that fits it."""

    def __init__(self, name: str) -> None:
        import compressai.models

        torch.manual_seed(0)
        self.model: Any = getattr(compressai.models, name)(HYPER, CHANNELS).eval()
        with torch.no_grad():
            for parameter in self.model.h_s.parameters():
                parameter.mul_(5)
            self.model.entropy_bottleneck.quantiles[:, 0, 1] = torch.linspace(-0.7, 0.9, HYPER)
        self.model.update(force=True)
        self.coder = HyperpriorCoder(hyperprior_tables(self.model.entropy_bottleneck, self.model.h_s, CHANNELS))

    @torch.no_grad()
    def latents(self, seed: int, height: int = 16, width: int = 12, scale: float = 1.0) -> tuple[Tensor, Tensor]:
        """A z, and a y from the distribution that z stands for."""
        generator = torch.Generator().manual_seed(seed)
        z = 3 * torch.randn(1, HYPER, height // 4, width // 4, generator=generator)
        scales, means = self.coder.synthesis(self.coder.z_coder.symbols(z), height, width)
        y = torch.randn(scales.shape, generator=generator) * (scales / ONE).clamp(min=0.11) * scale
        return (y if means is None else y + means / ONE).float(), z

    @torch.no_grad()
    def reference(self, y: Tensor, z: Tensor) -> tuple[bytes, bytes, Tensor, Tensor]:
        """CompressAI's streams of y and z, its table indexes and what it decodes."""
        prior, gaussian = self.model.entropy_bottleneck, self.model.gaussian_conditional
        [z_bytes] = prior.compress(z)
        out = self.model.h_s(prior.decompress([z_bytes], z.shape[2:]))
        scales, means = out.chunk(2, 1) if out.shape[1] > CHANNELS else (out, None)
        indexes = gaussian.build_indexes(scales)
        [y_bytes] = gaussian.compress(y, indexes, means)
        return y_bytes, z_bytes, indexes, gaussian.decompress([y_bytes], indexes, means=means)


@pytest.fixture(scope="module", params=MODELS)
def trained(request: pytest.FixtureRequest) -> Trained:
    return Trained(request.param)


def test_symbols_tables_and_sizes_are_compressais(trained: Trained) -> None:
    for seed in range(3):
        y, z = trained.latents(seed)
        symbols = trained.coder.symbols(y, z)
        stream = trained.coder.encode(symbols)
        y_bytes, z_bytes, indexes, y_hat = trained.reference(y, z)
        # In whole numbers scales and means move by some 2^-12: a few cross a table's bound, or half a symbol.
        assert (symbols.indexes == indexes).float().mean() > 0.99
        assert (symbols.indexes - indexes).abs().max() <= 1
        assert len(symbols.indexes.unique()) > 15
        ours = trained.coder.decode([stream], y.shape[2], y.shape[3], VERSION)
        assert ((ours - y_hat).abs() < 0.01).float().mean() > 0.99
        theirs = len(y_bytes) + len(z_bytes)
        # Two ends less, and numbers of escaped symbols in fewer bits.
        assert -8 - 0.01 * theirs <= len(stream) - theirs <= 0.005 * theirs


def test_the_same_tables_give_the_same_symbols(trained: Trained) -> None:
    """With our tables and means, CompressAI codes and decodes exactly our symbols."""
    y, z = trained.latents(3)
    symbols = trained.coder.symbols(y, z)
    means = trained.coder.latent(symbols) - symbols.y
    gaussian = trained.model.gaussian_conditional
    [data] = gaussian.compress(y, symbols.indexes, means)
    encoder = StreamEncoder()
    trained.coder.y_coder.put(encoder, symbols.y, symbols.indexes)
    assert abs(len(encoder.finish()) - len(data)) <= 0.005 * len(data) + 4
    assert torch.equal(gaussian.decompress([data], symbols.indexes, means=means), trained.coder.latent(symbols))


@pytest.mark.parametrize("scale", [0.0, 1.0, 30.0, 3000.0], ids=["zeros", "inside", "some outside", "most outside"])
def test_any_latent_survives(trained: Trained, scale: float) -> None:
    for height, width in ((16, 12), (4, 4), (8, 20)):
        y, z = trained.latents(5, height, width, scale)
        symbols = trained.coder.symbols(y, z)
        stream = trained.coder.encode(symbols)
        received = trained.coder.decode([stream], height, width, VERSION)
        assert torch.equal(received, trained.coder.latent(symbols))
        assert (received - y).abs().max() <= 0.5 * (1 + 1e-5 * max(1.0, float(y.abs().max())))
        assert len(stream) == pytest.approx(trained.coder.bits(symbols) / 8, rel=0.02, abs=1.01)


def test_a_y_that_h_s_covers_only_in_part_is_cut_out(trained: Trained) -> None:
    """CompressAI's h_s gives multiples of four; for 13 × 11 the z of 16 × 12 is sent."""
    y, z = trained.latents(6)
    y = y[..., :13, :11]
    assert trained.coder.synthesis.z_size(13, 11) == tuple(z.shape[2:])
    symbols = trained.coder.symbols(y, z)
    assert torch.equal(
        trained.coder.decode([trained.coder.encode(symbols)], 13, 11, VERSION), trained.coder.latent(symbols)
    )


def test_estimated_bits_are_those_of_the_likelihoods(trained: Trained) -> None:
    y, z = trained.latents(7, 32, 32)
    symbols = trained.coder.symbols(y, z)
    with torch.no_grad():
        _, z_likelihoods = trained.model.entropy_bottleneck(z)
        scales, means = trained.coder.synthesis(symbols.z, 32, 32)
        means = None if means is None else (means / ONE).float()
        _, y_likelihoods = trained.model.gaussian_conditional(y, (scales / ONE).float(), means)
    ideal = sum(-torch.log2(p).sum().item() for p in (z_likelihoods, y_likelihoods))
    # The tables' scales are in steps of 13 %, always the next larger one: a little more than the density itself.
    assert trained.coder.bits(symbols) == pytest.approx(ideal, rel=0.02)


def test_the_tables_are_compressais_and_travel_packed() -> None:
    from compressai.entropy_models import GaussianConditional
    from compressai.models.google import get_scale_table

    reference, tables = GaussianConditional(None), gaussian_tables()
    reference.update_scale_table(get_scale_table())
    coder = GaussianCoder(tables)
    length = int(tables["cdf_length"].max())
    for row, end in enumerate(tables["cdf_length"].tolist()):
        assert np.array_equal(coder.coder.cdf[row, :end], reference.quantized_cdf[row, :end].numpy())
    assert torch.equal(tables["cdf_length"], reference.cdf_length)
    assert torch.equal(tables["offset"], reference.offset)
    assert tables["cdf"].numel() < 64 * length / 7


def test_a_scale_belongs_to_the_first_table_that_is_not_narrower() -> None:
    from compressai.entropy_models import GaussianConditional
    from compressai.models.google import get_scale_table

    reference = GaussianConditional(None)
    reference.update_scale_table(get_scale_table())
    scales = torch.cat([torch.arange(-5000, 5000), torch.arange(0, 300 * ONE, 997)])
    ours = GaussianCoder(gaussian_tables()).indexes(scales)
    assert ours.dtype == torch.int32
    assert torch.equal(ours, reference.build_indexes(scales.double() / ONE))
    assert ours.min() == 0
    assert ours.max() == 63


# What is no stream of this model


def _stream(trained: Trained) -> bytes:
    return trained.coder.encode(trained.coder.symbols(*trained.latents(8)))


@pytest.mark.parametrize(("version", "count"), [(1, 0), (1, 1), (1, 3), (2, 0), (2, 2), (2, 3)])
def test_another_number_of_streams_is_refused(trained: Trained, version: int, count: int) -> None:
    wanted = {1: f"two streams, y and z, not {count}", 2: f"one stream, not {count}"}[version]
    with pytest.raises(WireError, match=wanted):
        trained.coder.decode([b"abc"] * count, 16, 12, version)


def test_damaged_streams_give_another_latent_or_an_error(trained: Trained) -> None:
    """The checksum of the container finds damage; what gets past it must neither hang nor crash."""
    stream, generator = _stream(trained), np.random.default_rng(0)
    sound = trained.coder.decode([stream], 16, 12, VERSION)
    refused = 0
    for trial in range(60):
        damaged = bytearray(stream)
        if trial % 3 == 0:
            del damaged[generator.integers(0, len(damaged)) :]
        else:
            damaged[generator.integers(0, len(damaged))] ^= int(generator.integers(1, 256))
        try:
            received = trained.coder.decode([bytes(damaged)], 16, 12, VERSION)
            assert received.shape == sound.shape
        except WireError:
            refused += 1
    assert refused > 5


@pytest.mark.parametrize("broken", [(b"", b"x"), (b"x", b""), (b"a\0", b"x"), (b"a\0",)])
def test_what_no_encoder_writes_is_refused(trained: Trained, broken: tuple[bytes, ...]) -> None:
    with pytest.raises(WireError):
        trained.coder.decode(broken, 16, 12, 3 - len(broken))


def test_streams_with_more_than_the_latent_needs_are_refused(trained: Trained) -> None:
    with pytest.raises(WireError, match=r"longer than|not from this"):
        trained.coder.decode([_stream(trained) + b"\1" * 40], 16, 12, VERSION)


def test_a_z_of_another_size_is_a_mistake_of_the_caller(trained: Trained) -> None:
    y, z = trained.latents(9)
    with pytest.raises(AssertionError, match="disagree about the size of z"):
        trained.coder.symbols(y, z[..., :2, :])


def test_the_parts_of_a_message() -> None:
    trained = Trained("MeanScaleHyperprior")
    y, z = trained.latents(10)
    symbols = trained.coder.symbols(y, z)
    assert isinstance(symbols, HyperSymbols)
    assert (symbols.y.dtype, symbols.z.dtype, symbols.indexes.dtype) == (torch.int32,) * 3
    assert symbols.y.shape == symbols.indexes.shape == y.shape
    assert symbols.z.shape == z.shape
