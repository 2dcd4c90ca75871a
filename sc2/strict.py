"""The base of every configuration model, and the types that their fields share. No torch."""

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, WithJsonSchema

NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")


class Strict(BaseModel):
    """A configuration model that forbids unknown keys and cannot be changed once it has been read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def text_matching(pattern: re.Pattern[str]) -> WithJsonSchema:
    """Return what a JSON schema says of text that matches a pattern from end to end."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$"})


def _name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("use lower case letters, digits and single underscores (it becomes a folder name)")
    return value


Name = Annotated[str, AfterValidator(_name), text_matching(NAME)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0)]
