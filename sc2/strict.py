"""The base of every configuration model."""

from pydantic import BaseModel, ConfigDict


class Strict(BaseModel):
    """A configuration model that forbids unknown keys and cannot be changed once it has been read."""

    model_config = ConfigDict(extra="forbid", frozen=True)
