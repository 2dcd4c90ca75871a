"""Top-k accuracy against closed forms and a sort in plain Python."""

import pytest
import torch

from sc2.errors import DataError
from sc2.measure.quality import accuracy_pct, top1_pct, top5_pct, topk_correct


def sorted_topk(logits: list[list[float]], labels: list[int], k: int) -> list[bool]:
    """Oracle: sort the classes by falling logit, then by index."""
    ranked = [sorted(range(len(row)), key=[(-value, j) for j, value in enumerate(row)].__getitem__) for row in logits]
    return [label in order[:k] for order, label in zip(ranked, labels, strict=True)]


@pytest.mark.parametrize("k", [1, 2, 5, 10, 99])
@pytest.mark.parametrize("levels", [3, 1_000_000])  # with 3 levels nearly every row has ties
def test_agrees_with_sorting(k: int, levels: int) -> None:
    generator = torch.Generator().manual_seed(k)
    logits = torch.randint(0, levels, (200, 10), generator=generator).float()
    labels = torch.randint(0, 10, (200,), generator=generator)
    assert topk_correct(logits, labels, k).tolist() == sorted_topk(logits.tolist(), labels.tolist(), k)


def test_closed_form() -> None:
    logits = torch.eye(10)
    labels = torch.arange(10)
    assert top1_pct(logits, labels) == 100
    assert top1_pct(-logits, labels) == 0
    assert top5_pct(-logits, labels) == 0
    assert top5_pct(torch.zeros(10, 10), labels) == 50  # ties: classes 0 … 4 are the five best
    assert top1_pct(torch.zeros(10, 10), labels) == 10
    assert top1_pct(logits[:3], torch.tensor([0, 1, 9])) == pytest.approx(200 / 3)


def test_five_is_capped_by_the_number_of_classes() -> None:
    assert top5_pct(torch.randn(6, 3), torch.tensor([0, 1, 2, 0, 1, 2])) == 100


def test_types() -> None:
    correct = topk_correct(torch.tensor([[0.0, 1.0]]).half(), torch.tensor([1], dtype=torch.uint8), 1)
    assert correct.dtype == torch.bool
    assert correct.shape == (1,)
    infinite = torch.tensor([[float("-inf"), float("inf")]])
    assert top1_pct(infinite, torch.tensor([1])) == 100
    assert topk_correct(torch.empty(0, 4), torch.empty(0, dtype=torch.int64), 1).shape == (0,)


@pytest.mark.parametrize(
    ("logits", "labels", "k"),
    [
        (torch.zeros(3), torch.zeros(3, dtype=torch.int64), 1),
        (torch.zeros(3, 2), torch.zeros(2, dtype=torch.int64), 1),
        (torch.zeros(2, 2), torch.tensor([0, 2]), 1),
        (torch.zeros(2, 2), torch.tensor([-1, 0]), 1),
        (torch.zeros(2, 2), torch.tensor([0.0, 1.0]), 1),
        (torch.zeros(2, 2), torch.tensor([0, 1]), 0),
        (torch.tensor([[float("nan"), 1.0]]), torch.tensor([0]), 1),
    ],
)
def test_wrong_input(logits: torch.Tensor, labels: torch.Tensor, k: int) -> None:
    with pytest.raises(DataError):
        topk_correct(logits, labels, k)


def test_no_image() -> None:
    with pytest.raises(DataError):
        accuracy_pct(torch.empty(0, dtype=torch.bool))
