"""Upstream's data size counts a pickle; the pickle of a tensor holds the address of its memory in decimal, twice."""

import torch

_DIGITS = 14
"""Of an address where the published overheads were measured: a Python that is loaded at a random place."""

_LEAST_DIGITS = 8
"""Of an address in a Python that is loaded at a low, fixed place (Debian's)."""


def address_slack(tensors: int) -> int:
    """Return by how many bytes a pickle of so many tensors may differ for its addresses; 0 where they are long."""
    if len(str(torch.zeros(()).untyped_storage()._cdata)) == _DIGITS:
        return 0
    return 2 * tensors * (_DIGITS - _LEAST_DIGITS)
