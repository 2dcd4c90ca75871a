"""GDN against CompressAI's."""

from typing import Any

import pytest
import torch

from sc2.layers.gdn import GDN1


def pair(inverse: bool, squared: bool) -> tuple[Any, Any]:
    from compressai.layers import GDN
    from compressai.layers import GDN1 as Reference

    reference = (GDN if squared else Reference)(5, inverse=inverse)
    with torch.no_grad():
        # Some below their bounds, where the gradient is special.
        reference.gamma.add_(0.05 * torch.randn(5, 5, generator=torch.Generator().manual_seed(0)))
        reference.beta.sub_(torch.tensor([0.0, 1.1, 0.5, 0.2, 1.0]))
    ours = GDN1(5, inverse=inverse, squared=squared)
    ours.load_state_dict(reference.state_dict())
    return ours.double(), reference.double()


@pytest.mark.parametrize("squared", [False, True])
@pytest.mark.parametrize("inverse", [False, True])
def test_values_and_gradients_are_compressais(inverse: bool, squared: bool) -> None:
    ours, reference = pair(inverse, squared)
    x = torch.randn(2, 5, 4, 3, generator=torch.Generator().manual_seed(1)).double()
    one, two = x.clone().requires_grad_(), x.clone().requires_grad_()
    a, b = ours(one), reference(two)
    torch.testing.assert_close(a, b)
    a.square().sum().backward()
    b.square().sum().backward()
    assert one.grad is not None
    torch.testing.assert_close(one.grad, two.grad)
    for name, parameter in reference.named_parameters():
        torch.testing.assert_close(ours.get_parameter(name).grad, parameter.grad)


def test_a_new_layer_starts_like_compressais_and_has_its_entries() -> None:
    from compressai.layers import GDN1 as Reference

    ours, reference = GDN1(4).state_dict(), Reference(4).state_dict()
    assert ours.keys() == reference.keys()
    for name, value in reference.items():
        torch.testing.assert_close(ours[name].reshape(-1), value.reshape(-1), rtol=0, atol=0)
