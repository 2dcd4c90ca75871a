"""The network in whole numbers: against plain integer arithmetic, and the same in every order of summation."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from sc2.entropy.exact import ExactNetwork, exact_layers, fixed_point
from sc2.entropy.exact_arrays import ONE, VALUE_LIMIT
from sc2.errors import CheckpointError


def network(seed: int = 0, bias: bool = True) -> nn.Sequential:
    """Every kind of layer, every parameter of a geometry."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.ConvTranspose2d(6, 8, 5, stride=2, padding=2, output_padding=1, groups=2, bias=bias),
        nn.LeakyReLU(),
        nn.ConvTranspose2d(8, 4, 5, stride=2, padding=1, bias=bias),
        nn.ReLU(),
        nn.Conv2d(4, 6, (3, 2), stride=(2, 1), padding=(1, 0), dilation=(2, 1), groups=2, bias=bias),
        nn.LeakyReLU(0.2),
        nn.Conv2d(6, 5, 1, bias=bias),
    ).eval()


def whole_numbers(shape: tuple[int, ...], seed: int = 1, largest: int = 20 * ONE) -> Tensor:
    return torch.randint(-largest, largest, shape, generator=torch.Generator().manual_seed(seed)).double()


def test_it_computes_what_plain_integers_do() -> None:
    layers = exact_layers(network())
    x = whole_numbers((2, 6, 3, 4))
    expected = x.long()
    for position in range(len(layers)):
        expected = _integer_layer(expected, layers[str(position)])
    result = ExactNetwork(layers)(x)
    assert result.dtype == torch.float64
    assert torch.equal(result, expected.double())


def test_vectors_are_positions_of_their_own() -> None:
    """The same integers without convolutions, up to the limits of every layer."""
    torch.manual_seed(4)
    layers = (nn.Conv2d(4, 7, (3, 5)), nn.LeakyReLU(), nn.Conv2d(7, 9, 1, bias=False), nn.ReLU(), nn.Conv2d(9, 2, 1))
    sequence = nn.Sequential(*layers)
    with torch.no_grad():
        sequence[2].weight.mul_(50)
    exact = ExactNetwork(exact_layers(sequence))
    for largest in (20 * ONE, 2 * VALUE_LIMIT):
        x = whole_numbers((50, 4, 3, 5), largest=largest)
        expected = x.long()
        for layer in exact_layers(sequence).values():
            expected = _integer_layer(expected, layer)
        assert torch.equal(exact.vectors(x.flatten(1)), expected.flatten(1).double())
        assert torch.equal(exact(x).flatten(1), expected.flatten(1).double())


def _integer_layer(x: Tensor, layer: dict[str, Any]) -> Tensor:
    """One layer in int64, a convolution as a sum over the taps of its kernel."""
    if layer["kind"] == "leaky_relu":
        return torch.where(x < 0, x * layer["slope"] // 2**16, x)
    x = x.clamp(-layer["limit"], layer["limit"])
    if layer["kind"] == "conv_transpose":
        x, weight, padding = _stretched(x, layer)
        stride = (1, 1)
    else:
        weight, padding, stride = layer["weight"].long(), layer["padding"], layer["stride"]
    x = functional.pad(x, (padding[1], padding[1], padding[0], padding[0]))
    dilation, (rows, columns) = layer["dilation"], weight.shape[2:]
    height = (x.shape[2] - dilation[0] * (rows - 1) - 1) // stride[0] + 1
    width = (x.shape[3] - dilation[1] * (columns - 1) - 1) // stride[1] + 1
    sums = layer["bias"].view(1, -1, 1, 1).expand(len(x), -1, height, width).clone()
    for row in range(rows):
        for column in range(columns):
            top, left = row * dilation[0], column * dilation[1]
            taps = x[:, :, top : top + height * stride[0] : stride[0], left : left + width * stride[1] : stride[1]]
            sums += _mixed(taps[:, :, :height, :width], weight[:, :, row, column], layer["groups"])
    half = 2 ** layer["shift"] // 2
    return ((sums + half) // 2 ** layer["shift"]).clamp(-VALUE_LIMIT, VALUE_LIMIT)


def _mixed(taps: Tensor, weight: Tensor, groups: int) -> Tensor:
    parts = zip(taps.chunk(groups, 1), weight.chunk(groups, 0), strict=True)
    return torch.cat([(w[None, :, :, None, None] * t[:, None]).sum(2) for t, w in parts], 1)


def _stretched(x: Tensor, layer: dict[str, Any]) -> tuple[Tensor, Tensor, list[int]]:
    """A transposed convolution as a plain one: zeros between the inputs, the kernel turned around."""
    stride, extra = layer["stride"], layer["output_padding"]
    stretched = x.new_zeros(*x.shape[:2], (x.shape[2] - 1) * stride[0] + 1, (x.shape[3] - 1) * stride[1] + 1)
    stretched[:, :, :: stride[0], :: stride[1]] = x
    stretched = functional.pad(stretched, (0, extra[1], 0, extra[0]))
    weight = layer["weight"].long().flip(2, 3)
    weight = torch.cat([part.transpose(0, 1) for part in weight.chunk(layer["groups"], 0)], 0)
    padding = [weight.shape[2 + side] - 1 - layer["padding"][side] for side in (0, 1)]
    return stretched, weight, padding


@pytest.mark.parametrize("bias", [True, False])
def test_it_is_the_network_to_the_precision_of_its_units(bias: bool) -> None:
    model = network(2, bias)
    x = whole_numbers((1, 6, 5, 5))
    with torch.no_grad():
        expected = model.double()(x / ONE)
    torch.testing.assert_close(ExactNetwork(exact_layers(model))(x) / ONE, expected, rtol=1e-3, atol=5 / ONE)


def test_the_order_of_the_sum_does_not_matter() -> None:
    """Floating point gives another result when the channels are permuted; whole numbers do not."""
    torch.manual_seed(0)
    layer = nn.Conv2d(256, 4, 5, bias=False)
    x = whole_numbers((1, 256, 9, 9))
    order = torch.randperm(256)
    permuted = nn.Conv2d(256, 4, 5, bias=False)
    permuted.weight.data = layer.weight.data[:, order]
    one = ExactNetwork(exact_layers(nn.Sequential(layer)))(x)
    assert torch.equal(one, ExactNetwork(exact_layers(nn.Sequential(permuted)))(x[:, order]))
    with torch.no_grad():
        assert not torch.equal(layer(x.float()), permuted(x[:, order].float()))


def test_threads_batches_layouts_and_algorithms_do_not_matter() -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(64, 32, 5, stride=2, padding=2)
    exact, x = ExactNetwork(exact_layers(nn.Sequential(layer))), whole_numbers((3, 64, 24, 24))
    expected = exact(x)
    threads = torch.get_num_threads()
    try:
        for number in (1, 2, 5):
            torch.set_num_threads(number)
            assert torch.equal(exact(x), expected)
    finally:
        torch.set_num_threads(threads)
    assert torch.equal(torch.cat([exact(part[None]) for part in x]), expected)
    assert torch.equal(exact(x.contiguous(memory_format=torch.channels_last)), expected)
    described = exact_layers(nn.Sequential(layer))["0"]
    columns = functional.unfold(x, 5, padding=2, stride=2)
    sums = described["weight"].double().reshape(32, -1) @ columns + described["bias"].double().view(-1, 1)
    rounded = torch.floor((sums + 2 ** described["shift"] / 2) / 2 ** described["shift"])
    assert torch.equal(rounded.reshape(expected.shape), expected)


def test_no_input_can_overflow_a_sum() -> None:
    """The worst input for the worst output stays below 2^48, whatever the weights are."""
    for seed, scale in ((0, 1e-6), (1, 1.0), (2, 500.0)):
        model = network(seed)
        for parameter in model.parameters():
            parameter.data.mul_(scale)
        for layer in exact_layers(model).values():
            if layer["kind"] == "leaky_relu":
                continue
            weight = layer["weight"].long().abs()
            assert weight.max() < 2**15
            if layer["kind"] == "conv_transpose":
                weight = torch.cat([part.transpose(0, 1) for part in weight.chunk(layer["groups"], 0)], 0)
            worst = weight.sum((1, 2, 3)) * layer["limit"] + layer["bias"].abs() + 2 ** layer["shift"]
            assert worst.max() < 2**48


def test_inputs_beyond_all_measure_are_clamped() -> None:
    exact = ExactNetwork(exact_layers(network()))
    far = torch.full((1, 6, 3, 4), 2.0**50, dtype=torch.float64)
    assert torch.equal(exact(far), exact(torch.full_like(far, VALUE_LIMIT)))
    assert exact(far).abs().max() <= VALUE_LIMIT


def test_sizes_are_those_of_the_layers() -> None:
    exact = ExactNetwork(exact_layers(network()))
    for height in range(3, 9):
        for width in (2, 5):
            shape = exact(torch.zeros(1, 6, height, width)).shape
            assert exact.output_size(height, width) == tuple(shape[2:])
            assert exact.input_size(*shape[2:]) <= (height, width)
    for side in range(1, 40):
        (smallest, _) = exact.input_size(side, 1)
        assert exact.output_size(smallest, 1)[0] >= side
        assert smallest == 1 or exact.output_size(smallest - 1, 1)[0] < side


def test_weights_count_as_parameters_of_two_bytes() -> None:
    model = network(bias=False)
    exact = ExactNetwork(exact_layers(model))
    assert sum(p.numel() for p in exact.parameters()) == sum(p.numel() for p in model.parameters())
    assert {p.dtype for p in exact.parameters()} == {torch.int16}
    assert not any(p.requires_grad for p in exact.parameters())


def test_fixed_point() -> None:
    assert fixed_point(torch.tensor([0.0, 1.0, -0.5, 1 / 3])).tolist() == [0, 4096, -2048, 1365]


def huge(layer: nn.Conv2d, value: float) -> nn.Conv2d:
    layer.weight.data.fill_(value)
    return layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (nn.BatchNorm2d(3), "layer 0, BatchNorm2d.* has no exact form; supported are: Conv2d"),
        (nn.Conv2d(3, 3, 3, padding="same"), "has no exact form"),
        (nn.Conv2d(3, 3, 3, padding=1, padding_mode="reflect"), "has no exact form"),
        (nn.LeakyReLU(-0.1), "a slope of -0.1 has no exact form"),
        (huge(nn.Conv2d(1, 1, 1), float("nan")), "layer 0 has weights that are not finite"),
        (huge(nn.Conv2d(1, 1, 1), 1e6), "a weight of 1e[+]06 is too large"),
        (huge(nn.Conv2d(2000, 1, 9), 1.99), "layer 0: its weights or biases are so large"),
    ],
)
def test_what_has_no_exact_form_is_refused(layer: nn.Module, message: str) -> None:
    with pytest.raises(CheckpointError, match=message):
        exact_layers(nn.Sequential(layer))


def test_numpy_agrees_on_the_floor_of_negative_numbers() -> None:
    exact = ExactNetwork(exact_layers(nn.Sequential(nn.LeakyReLU())))
    x = np.arange(-5000, 5000, 7)
    expected = np.where(x < 0, x * round(0.01 * 2**16) // 2**16, x)
    assert np.array_equal(exact(torch.from_numpy(x).view(1, 1, 1, -1)).numpy().ravel(), expected)
