"""How errors in a configuration are reported: the key as in the file, what is wrong, what is allowed. No torch."""

import difflib
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

Keys = tuple[Any, ...]
LONGEST_VALUE = 60

_WORDS = {
    "list_type": "must be a list: put it in brackets, [a, b]",
    "tuple_type": "must be a list: put it in brackets, [a, b]",
    "dict_type": "must be a mapping of keys to values",
    "model_type": "must be a mapping of keys to values",
    "model_attributes_type": "must be a mapping of keys to values",
}


def explain(kind: type[BaseModel], content: Any, error: ValidationError) -> list[tuple[Keys, str]]:
    """Return a model's validation errors as pairs of the key's path in the file and a message, without duplicates.

    Args:
        kind: The model.
        content: The validated content, as read from the file.
        error: The validation error.
    """
    pairs = [_explain(kind, content, dict(detail)) for detail in error.errors(include_url=False)]
    return list(dict.fromkeys(pairs))


def key_text(keys: Sequence[Any]) -> str:
    """Write a path of keys as a user would: `methods.jpeg.points[0]`."""
    text = "".join(f"[{key}]" if isinstance(key, int) and not isinstance(key, bool) else f".{key}" for key in keys)
    return text.removeprefix(".")


def choices(given: object, allowed: Sequence[str]) -> str:
    """Return the allowed values, preceded by the one that was probably meant."""
    near = difflib.get_close_matches(str(given), allowed, n=1)
    hint = f"did you mean {near[0]!r}? " if near else ""
    return f"{hint}allowed: {', '.join(allowed) or 'none yet'}"


def _explain(kind: type[BaseModel], content: Any, detail: dict[str, Any]) -> tuple[Keys, str]:
    path, given, context = _keys_in(content, detail["loc"]), detail.get("input"), detail.get("ctx", {})
    match detail["type"]:
        case "extra_forbidden":
            allowed = sorted(_properties(kind, detail["loc"][:-1]))
            return path, f"unknown key; {choices(path[-1], allowed)}"
        case "missing" if isinstance(detail["loc"][-1], int):
            sizes = [node["minItems"] for node in _nodes(kind, detail["loc"][:-1]) if "minItems" in node]
            least = _count("too_short", {"min_length": sizes[0]}) if sizes else "needs more entries"
            return path[:-1], f"{least}{_said(given)}{_about(kind, detail['loc'][:-1])}"
        case "missing":
            return path, f"this key is required: add it{_about(kind, detail['loc'])}"
        case "union_tag_invalid":
            allowed = _quoted(context["expected_tags"])
            return (*path, _tag_key(context)), f"unknown value; {choices(context['tag'], allowed)}"
        case "union_tag_not_found":
            tags = _tags(kind, detail["loc"])
            return (*path, _tag_key(context)), f"this key is required: add it; {choices('', tags)}"
        case "literal_error":
            return path, f"unknown value{_said(given)}; {choices(given, _quoted(context['expected']))}"
        case "int_type" | "float_type" | "bool_type" if isinstance(given, str):
            kind_of = "true or false" if detail["type"] == "bool_type" else "a number"
            return path, f"is text, must be {kind_of}: remove the quotes, and write 1e-3 as 1.0e-3{_said(given)}"
        case "string_type":
            return path, _no_string(given)
        case "string_pattern_mismatch":
            return path, f"must match {context['pattern']}{_said(given)}{_about(kind, detail['loc'])}"
        case "too_short" | "too_long":
            return path, f"{_count(detail['type'], context)}{_said(given)}{_about(kind, detail['loc'])}"
        case error_type:
            return path, f"{_WORDS.get(error_type) or _plain(detail['msg'])}{_said(given)}"


def _keys_in(content: Any, loc: Keys) -> Keys:
    """Drop what is not a key of the file from a path: the tag of a discriminated union, and pydantic's `[key]`."""
    keys: list[Any] = []
    for position, part in enumerate(loc):
        tag = isinstance(content, Mapping) and part not in content and position < len(loc) - 1
        if tag or part == "[key]":
            continue
        keys.append(part)
        inside = isinstance(content, Mapping) and part in content
        inside = inside or (isinstance(content, Sequence) and isinstance(part, int) and part < len(content))
        content = content[part] if inside else None
    return tuple(keys)


def _quoted(text: str) -> list[str]:
    return re.findall(r"'([^']*)'", text)


def _no_string(given: Any) -> str:
    if given is None:
        return "must not be empty"
    if isinstance(given, bool):
        return f"YAML reads this as {str(given).lower()}: put it in quotes"
    if isinstance(given, int | float):
        return f'{given!r} must be a string: write "{given}" in quotes'
    return f"must be a string{_said(given)}"


def _count(kind: str, context: Mapping[str, Any]) -> str:
    bound, least = ("min_length", "at least") if kind == "too_short" else ("max_length", "at most")
    number = context[bound]
    return f"needs {least} {number} {'entry' if number == 1 else 'entries'}"


def _plain(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return re.sub(r"^(Input|String|List|Tuple|Dictionary|Value) should ", "must ", message)


def _said(given: Any) -> str:
    """Return what the file says, unless it is too long."""
    text = json.dumps(given, default=str, ensure_ascii=False)
    return f" (it says {text})" if len(text) <= LONGEST_VALUE else ""


def _tag_key(context: Mapping[str, Any]) -> str:
    return str(context["discriminator"]).strip("'")


def _tags(kind: type[BaseModel], loc: Keys) -> list[str]:
    return [tag for node in _nodes(kind, loc) for tag in node.get("discriminator", {}).get("mapping", {})]


def _properties(kind: type[BaseModel], loc: Keys) -> set[str]:
    """Names of the fields of the model at `loc`."""
    return {name for node in _nodes(kind, loc) for name in node.get("properties", {})}


def _about(kind: type[BaseModel], loc: Keys) -> str:
    """Return the description of the field at `loc`, or else of the nearest field above it that has one."""
    for end in range(len(loc), 0, -1):
        texts = [node["description"] for node in _nodes(kind, loc[:end], follow=False) if "description" in node]
        if texts:
            return f"; {texts[0][0].lower()}{texts[0][1:]}" if not texts[0][:2].isupper() else f"; {texts[0]}"
    return ""


def _nodes(kind: type[BaseModel], loc: Keys, *, follow: bool = True) -> list[dict[str, Any]]:
    """Return the nodes of the model's JSON schema at `loc`; all branches of a union whose tag is not in `loc`.

    Args:
        kind: The model.
        loc: The path as pydantic reports it.
        follow: Whether to follow the references of the last step; a field's own description comes before them.
    """
    schema = kind.model_json_schema()
    definitions = schema.get("$defs", {})

    def options(node: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        yield dict(node)
        if "$ref" in node:
            yield from options(definitions[node["$ref"].rsplit("/", 1)[-1]])
        if "discriminator" not in node:
            for branch in [*node.get("anyOf", []), *node.get("oneOf", [])]:
                yield from options(branch)

    def children(node: Mapping[str, Any], part: Any) -> Iterator[Mapping[str, Any]]:
        tagged = node.get("discriminator", {}).get("mapping", {})
        if part in tagged:
            yield {"$ref": tagged[part]}
        elif isinstance(part, int):
            items = node.get("items") or dict(enumerate(node.get("prefixItems", []))).get(part)
            yield from [items] if isinstance(items, Mapping) else []
        else:
            patterns = list(node.get("patternProperties", {}).values())
            child = node.get("properties", {}).get(part) or node.get("additionalProperties")
            yield from [child] if isinstance(child, Mapping) else patterns

    nodes = [schema]
    for part in loc:
        nodes = [child for node in nodes for option in options(node) for child in map(dict, children(option, part))]
    return [option for node in nodes for option in options(node)] if follow else nodes
