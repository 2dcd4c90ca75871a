"""How configurations and checkpoints describe a network. No torch."""

from typing import Any

from pydantic import Field, SerializerFunctionWrapHandler, model_serializer

from sc2.strict import Name, Strict


class BackboneSpec(Strict):
    """A network of `sc2/backbones/` and its arguments."""

    name: Name = Field(description="File in sc2/backbones/")
    args: dict[str, Any] = Field(default={}, description="Keyword arguments of the network's build function")


class HeadSpec(Strict):
    """The head of a dense task: a file of `sc2/backbones/heads/` and its arguments."""

    name: Name
    args: dict[str, Any]


class NetworkSpec(BackboneSpec):
    """The specification that `build_network` takes: a backbone with the head of its task.

    Attributes:
        head: None where the backbone's own classifier is the head.
        output_stride: Largest stride of a stage; None keeps the strides.
    """

    head: HeadSpec | None = None
    output_stride: int | None = None

    @property
    def body(self) -> "NetworkSpec":
        """The same network as a classifier: for a device, which runs only stages before the head."""
        return self.model_copy(update={"head": None})

    @model_serializer(mode="wrap")
    def _without_what_is_not_set(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        values: dict[str, Any] = serialize(self)
        return {key: value for key, value in values.items() if value is not None}
