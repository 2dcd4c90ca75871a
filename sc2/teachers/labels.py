"""Which outputs of a published classifier belong to which classes of a data set."""

import re
import sys
from collections.abc import Mapping, Sequence
from itertools import islice

from sc2.errors import CheckpointError

IMAGENET = 1000
"""Classes of ImageNet's classifiers."""
_WORDNET = re.compile(r"n[0-9]{8}")
_SHOWN = 10


def chosen_outputs(given: Sequence[int] | Mapping[str, int] | None, classes: Sequence[str], outputs: int) -> list[int]:
    """Return the output of each class, in the order of the classes, and say which they are.

    Args:
        given: `teacher.class_indices`: an output per class, by name or in the classes' order; None takes all in order.
        classes: Names of the data set's classes.
        outputs: Outputs of the classifier.

    Raises:
        CheckpointError: Outputs and classes do not match, or the classes are named as ImageNet's and the outputs belong
            to others.
    """
    if given is None:
        if outputs != len(classes):
            raise CheckpointError(
                f"the teacher has {outputs} outputs, the data set {len(classes)} classes; say which output is which "
                f"class in teacher.class_indices, e.g. {{{classes[0]}: 0, …}}"
            )
        chosen = list(range(outputs))
    else:
        chosen = by_name(given, classes) if isinstance(given, Mapping) else list(given)
    if len(chosen) != len(classes):
        raise CheckpointError(f"class_indices has {len(chosen)} outputs for {len(classes)} classes: {_named(classes)}")
    if not all(0 <= index < outputs for index in chosen):
        raise CheckpointError(f"class_indices must lie between 0 and {outputs - 1}")
    if len(set(chosen)) < len(chosen):
        raise CheckpointError("class_indices has an output twice: two classes cannot share one")
    _compare_with_imagenet(chosen, classes, outputs)
    pairs = (f"{name} is output {index}" for name, index in zip(classes, chosen, strict=True))
    print(f"classes: {', '.join(islice(pairs, _SHOWN))}{', …' * (len(chosen) > _SHOWN)}", file=sys.stderr)
    return chosen


def by_name(given: Mapping[str, int], classes: Sequence[str]) -> list[int]:
    """Return the outputs that are given by the names of classes, in the order of the classes.

    Raises:
        CheckpointError: Other classes are named.
    """
    if set(given) != set(classes):
        missing, unknown = sorted(set(classes) - set(given)), sorted(set(given) - set(classes))
        parts = [f"lacks {_named(missing)}"] * bool(missing) + [f"has {_named(unknown)}"] * bool(unknown)
        raise CheckpointError(
            f"class_indices does not name the data set's classes: it {' and '.join(parts)}. The classes are "
            f"{_named(classes)}"
        )
    return [given[name] for name in classes]


def _compare_with_imagenet(chosen: Sequence[int], classes: Sequence[str], outputs: int) -> None:
    """Compare the outputs of a classifier of ImageNet's classes with classes that are named by their WordNet id."""
    if outputs != IMAGENET or not all(_WORDNET.fullmatch(name) for name in classes):
        return
    from timm.data import ImageNetInfo

    names = ImageNetInfo().label_names()
    for name, index in zip(classes, chosen, strict=True):
        if names[index] != name:
            right = f"; it is {names.index(name)}" if name in names else ""
            raise CheckpointError(
                f"class {name} is not output {index}, which is {names[index]} in classifiers of ImageNet{right}: "
                "correct teacher.class_indices"
            )


def _named(names: Sequence[str]) -> str:
    return ", ".join(names[:_SHOWN]) + f" and {len(names) - _SHOWN} more" * (len(names) > _SHOWN)
