"""The page as one file: content, styles and scripts in it, nothing fetched from elsewhere.

The content is packed, and unpacked before the scripts run.
"""

import base64
import json
import zlib
from importlib.resources import files
from typing import Any

import vl_convert

SCRIPTS = (
    *("content.js", "channel.js", "state.js", "charts.js", "drawing.js", "pointing.js", "details.js"),
    *("tables.js", "controls.js", "pair.js", "main.js"),
)
"""The scripts in the order in which they run; each adds to what those before it offer."""

_WEB = files("sc2.page") / "web"


def page(content: dict[str, Any]) -> str:
    """Return the page that shows `sc2.page.content.content`."""
    parts = {
        "style": _read("style.css"),
        "content": _packed(content),
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


def _packed(content: dict[str, Any]) -> str:
    """Return the content as JSON, deflated and in base64: tables and traces shrink to a fifth."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return base64.b64encode(zlib.compress(text.encode("utf-8"), 9)).decode("ascii")


def _script(text: str) -> str:
    return text.replace("</script", "<\\/script").replace("<!--", "<\\!--")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;")
