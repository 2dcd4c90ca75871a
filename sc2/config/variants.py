"""Variants of a method on a benchmark: the same method with other parameters, beside it. No torch."""

from sc2.config.reader import Reader
from sc2.config.schema import BenchmarkConfig, MethodGrid
from sc2.config.yaml_files import Content, merge
from sc2.methods import base_of


def grid_of(reader: Reader, name: str, config: BenchmarkConfig, source: Content) -> MethodGrid:
    """Return a method's grid; a variant's is that of its method, with what it says itself.

    Args:
        reader: Collects the problems.
        name: The method, or a variant (`method.variant`).
        config: The benchmark.
        source: The content of the benchmark's file.
    """
    own, method = config.methods.get(name, MethodGrid()), base_of(name)
    where = ("methods", name, "title")
    if name == method and own.title is not None:
        reader.add(source.file_of(where), where, "only a variant (method.variant) has one here: remove this key")
    if name != method and own.title is None:
        reader.add(source.file_of(where), where, "this key is required: add it, a variant has a title of its own")
    if name == method or method not in config.methods:
        return own
    both = (config.methods[method].model_dump(exclude_unset=True), own.model_dump(exclude_unset=True))
    return MethodGrid.model_validate(merge(*both))
