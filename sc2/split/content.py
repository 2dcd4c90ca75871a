"""What the file of a half holds. Imports no torch."""

from __future__ import annotations

from typing import Any

from pydantic import ConfigDict

from sc2.strict import Strict


class HalfContent(Strict):
    """What one half of a split is built from: plain values, specifications and tensors only.

    Every family declares two subclasses, with `state` for the weights. The file of a half holds `plain()`.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    def plain(self) -> dict[str, Any]:
        """Return the content as a dictionary of plain values and tensors, as it is saved."""
        return self.model_dump(mode="python")
