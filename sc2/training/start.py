"""Where a training starts: from weights of another method that has parts of the same network."""

from collections.abc import Mapping

from torch import Tensor, nn

from sc2.errors import CheckpointError


def take_common(network: nn.Module, state: Mapping[str, Tensor]) -> list[str]:
    """Load the parts of a network that another one has as well; the others keep the weights that they have.

    A part, which is a child of the network, is loaded as a whole or not at all: if the names and shapes of its tensors
    are the same in both. What must be the same is checked with the configuration (`check_first_from`).

    Args:
        network: Changed in place.
        state: State dict of the other network.

    Returns:
        The names of the parts that were loaded.

    Raises:
        CheckpointError: There is none.
    """
    loaded = []
    for part, module in network.named_children():
        prefix = f"{part}."
        other = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        own = module.state_dict()
        if own and {name: value.shape for name, value in other.items()} == {name: own[name].shape for name in own}:
            module.load_state_dict(other)
            loaded.append(part)
    if not loaded:
        raise CheckpointError("no part of the network fits that of first_from; remove this key from the chain")
    return loaded
