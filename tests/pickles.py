"""Upstream's data size counts a pickle; the pickle of a tensor holds the address of its memory in decimal, twice."""

import torch

_DIGITS = 14
"""Of an address where the published overheads were measured: a Python that is loaded at a random place."""

_LEAST_DIGITS = 8
"""Of an address in a Python that is loaded at a low, fixed place (Debian's)."""


def equal_but_for_addresses(found: float, published: float, tensors: int) -> bool:
    """Tell whether the size of a pickle of so many tensors is the published one: exactly so, if addresses are long."""
    if len(str(torch.zeros(()).untyped_storage()._cdata)) == _DIGITS:
        return found == published
    return abs(found - published) <= 2 * tensors * (_DIGITS - _LEAST_DIGITS)
