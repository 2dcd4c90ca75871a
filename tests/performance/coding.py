"""Processor time of the entropy coder and of CompressAI's, of the same symbols in as many bytes."""

import time
from collections.abc import Callable, Iterator

import constriction
import numpy as np
import torch
from compressai.entropy_models import EntropyBottleneck

from sc2.entropy.densities import tables_of
from sc2.entropy.factorized import FactorizedCoder
from sc2.entropy.tables import Groups
from tests.performance.measure import Comparison, in_turn

SHAPE = (24, 55, 55)
"""The latent of the papers' encoder at 224 px."""
COUNT = 10
"""Latents that are coded in each repeat."""


def coding(repeats: int) -> Iterator[Comparison]:
    """Time encoding and decoding of one latent under one static table per channel, rounding included.

    Raises:
        AssertionError: The two differ in what arrives, or by more than 0.1 % and 8 bytes in size.
    """
    torch.manual_seed(0)
    bottleneck = EntropyBottleneck(SHAPE[0]).eval()
    coder = FactorizedCoder(tables_of(bottleneck))
    latent = coder.latent(coder.symbols(2 * torch.randn(1, *SHAPE)))
    theirs, ours = bottleneck.compress(latent), coder.encode(coder.symbols(latent))
    assert abs(len(ours) - len(theirs[0])) <= max(8, 0.001 * len(theirs[0]))

    def decoded() -> torch.Tensor:
        return coder.latent(coder.decode(ours, *SHAPE[1:]))

    words = np.frombuffer(ours + b"\0" * (-len(ours) % 4), dtype=">u4").astype(np.uint32)
    channels = [(coder.coder.model(table), part.stop - part.start) for table, part in Groups.rows(SHAPE[0], 55 * 55)]

    def by_the_encoder_s_library() -> list[object]:
        decoder = constriction.stream.queue.RangeDecoder(words)
        return [decoder.decode(*channel) for channel in channels]

    assert torch.equal(bottleneck.decompress(theirs, SHAPE[1:]), decoded())
    encoding = _time(lambda: coder.encode(coder.symbols(latent))), _time(lambda: bottleneck.compress(latent))
    decoding = _time(decoded), _time(lambda: bottleneck.decompress(theirs, SHAPE[1:]))
    symbols = "×".join(map(str, SHAPE))
    yield in_turn(f"entropy coding of {symbols} symbols; CompressAI's", *encoding, repeats, COUNT)
    yield in_turn("decoding of them, with the check of the stream; CompressAI's", *decoding, repeats, COUNT)
    library = _time(decoded), _time(by_the_encoder_s_library)
    yield in_turn("the same; constriction's decoder, without check and latent", *library, repeats, COUNT)


def _time(call: Callable[[], object]) -> Callable[[], float]:
    def seconds() -> float:
        start = time.process_time()
        for _ in range(COUNT):
            call()
        return time.process_time() - start

    return seconds
