"""In what numbers a training computes: settings. No torch."""

from typing import Any, Literal

from pydantic import Field

from sc2.strict import Strict


class Arithmetic(Strict):
    """In what numbers a training computes, and how its networks are run; changes results by more than rounding."""

    precision: Literal["float32", "tf32", "bf16"] = Field(
        default="float32",
        description="Numbers in which the steps of a training compute: `tf32` for products of float32 on a GPU, `bf16` "
        "in decoders and the stages of networks",
    )
    compile: bool = Field(default=False, description="Compile the same networks with torch.compile")

    @property
    def changed(self) -> dict[str, Any]:
        """What is not the default, as plain values: part of a job's identity where there is any."""
        return self.model_dump(mode="json", include=set(Arithmetic.model_fields), exclude_defaults=True)


PLAIN = Arithmetic()
