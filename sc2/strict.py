"""The base of every configuration model, and the types that their fields share. No torch."""

import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema

NAME = re.compile(r"[a-z0-9]+(_[a-z0-9]+)*")
LONGEST_NAME = 100
"""Characters of the longest name; file systems take 255, and temporary names are longer."""


def is_name(value: str) -> bool:
    """Return whether text is allowed as the name of a file or folder of configuration and results."""
    return len(value) <= LONGEST_NAME and NAME.fullmatch(value) is not None


def _unconverted(schema: Any) -> None:
    """Make the numbers and truth values in a schema strict, in place; defaults and functions are not changed."""
    if isinstance(schema, list | tuple):
        for entry in schema:
            _unconverted(entry)
    elif isinstance(schema, dict):
        if schema.get("type") in ("int", "float", "bool"):
            schema["strict"] = True
        for key in ("schema", "items_schema", "values_schema", "choices", "definitions"):
            nested = schema.get(key)
            _unconverted(list(nested.values()) if key == "choices" and isinstance(nested, dict) else nested)
        if isinstance(schema.get("fields"), dict):
            _unconverted(list(schema["fields"].values()))


class Strict(BaseModel):
    """A configuration model that forbids unknown keys and is immutable.

    Numbers and truth values are never converted from text or from each other, and are finite; an integer is accepted as
    a real number, and a list as a tuple.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return pydantic's schema without conversions of numbers."""
        schema = handler(source)
        _unconverted(schema)
        return schema


def text_matching(pattern: re.Pattern[str]) -> WithJsonSchema:
    """Return the JSON schema of text that matches a whole pattern."""
    return WithJsonSchema({"type": "string", "pattern": f"^{pattern.pattern}$"})


def _name(value: str) -> str:
    if not is_name(value):
        raise ValueError("use lower case letters, digits and single underscores (it becomes a folder name)")
    return value


VARIANT = re.compile(rf"{NAME.pattern}(\.{NAME.pattern})?")
"""A method, or a variant of one: `jpeg`, `jpeg.grey`."""


def _method_name(value: str) -> str:
    if len(value) > LONGEST_NAME or not VARIANT.fullmatch(value):
        raise ValueError(
            "use lower case letters, digits and single underscores; a variant has a dot before its own name"
        )
    return value


MethodName = Annotated[str, AfterValidator(_method_name), text_matching(VARIANT)]
Name = Annotated[str, AfterValidator(_name), text_matching(NAME)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Positive = Annotated[float, Field(gt=0)]
