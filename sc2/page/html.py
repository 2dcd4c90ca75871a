"""The page as one file: content, styles and scripts in it, nothing fetched from elsewhere."""

import json
from importlib.resources import files
from typing import Any

import vl_convert

SCRIPTS = (
    *("channel.js", "state.js", "charts.js", "drawing.js", "pointing.js", "details.js"),
    *("tables.js", "controls.js", "pair.js", "main.js"),
)
"""The scripts in the order in which they run; each adds to what those before it offer."""

_WEB = files("sc2.page") / "web"


def page(content: dict[str, Any]) -> str:
    """Return the page that shows `sc2.page.content.content`."""
    parts = {
        "style": _read("style.css"),
        "content": _json(content),
        "vega": _script(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")),
        "scripts": _script("\n".join(_read(name) for name in SCRIPTS)),
        "vega_version": vl_convert.get_vega_version(),
        "licence": _escaped(_read("notices.txt")),
    }
    text = _read("page.html")
    pieces = text.split("{{")
    return pieces[0] + "".join(parts[name] + rest for name, _, rest in (piece.partition("}}") for piece in pieces[1:]))


def _read(name: str) -> str:
    return (_WEB / name).read_text(encoding="utf-8")


def _json(content: dict[str, Any]) -> str:
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c")  # nothing in it may end the script element


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
