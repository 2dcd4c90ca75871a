"""Published weights of CompressAI's image codecs: one file per quality, identified by (the start of) its SHA-256."""

from collections.abc import Mapping

from torch import Tensor, nn

from sc2.backbones.state_file import read_state
from sc2.data.download import fetched_weights, hash_in_name
from sc2.errors import CheckpointError
from sc2.methods.learned_codec.params import Published

_WHERE = "params.phases.train"
# Last part of the names of the tables that CompressAI's entropy models build from their parameters by `update()`.
_TABLES = ("_quantized_cdf", "_cdf_length", "_offset", "scale_table")


def load_published(model: nn.Module, weights: Mapping[str, Published], quality: str) -> None:
    """Load the published weights of a quality into one of CompressAI's models, without their coding tables.

    Args:
        model: A model of the class and the (N, M) that the weights were trained with.
        weights: Files by quality.
        quality: 1 … 8, as text.

    Raises:
        CheckpointError: There are none for this quality, or they do not fit the model.
        DataError: The file is missing and cannot be fetched, or has another hash.
    """
    if quality not in weights:
        known = ", ".join(sorted(weights)) or "none"
        raise CheckpointError(
            f"no published weights for quality {quality} (known: {known}): add {_WHERE}.weights.{quality}, "
            f"or choose another {_WHERE}.start"
        )
    url, sha256 = weights[quality].url, weights[quality].sha256 or hash_in_name(weights[quality].url)
    assert sha256 is not None, "the configuration requires one of the two"
    state = _current_names(read_state(fetched_weights(url, sha256)))
    # Tables are built from the densities; those in the file may be of another version of the library.
    kept = {name: value for name, value in state.items() if not _is_table(name)}
    empty = {name: value for name, value in model.state_dict().items() if _is_table(name)}
    try:
        model.load_state_dict(kept | empty)
    except RuntimeError as error:
        problem = "\n".join(f"  {line.strip()[:160]}" for line in str(error).splitlines()[1:4])
        raise CheckpointError(
            f"{url} does not fit {type(model).__name__} with this (N, M); see params.channels:\n{problem}"
        ) from error


def _is_table(name: str) -> bool:
    return name.split(".")[-1] in _TABLES


def _current_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    from compressai.zoo.pretrained import load_pretrained

    renamed: dict[str, Tensor] = load_pretrained(dict(state))
    return renamed
