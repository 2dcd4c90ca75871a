"""Reads a results page as its script does."""

import base64
import json
import re
import zlib
from typing import Any


def content_of(page: str) -> Any:
    """Return what a page shows, from its HTML."""
    found = re.search(r'<script type="text/plain" id="content">(.*?)</script>', page, re.DOTALL)
    assert found is not None
    return json.loads(zlib.decompress(base64.b64decode(found[1])))
