"""A file to which a long command appends what it has done, line by line: killed, it goes on behind the last one."""

import json
import os
from pathlib import Path
from typing import Any


class Lines:
    """The file. The last line may be cut off where the command was killed; it is removed then.

    Attributes:
        path: The file; its folder is made.
        rows: What it holds, a mapping for each line.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        content = path.read_bytes() if path.exists() else b""
        whole = content[: content.rfind(b"\n") + 1]
        if whole != content:
            os.truncate(path, len(whole))
        self.rows: list[dict[str, Any]] = [json.loads(line) for line in whole.splitlines()]

    def add(self, row: dict[str, Any]) -> None:
        """Append a line."""
        self.rows.append(row)
        with self.path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
