"""Writes what `sc2 plan` says of the papers' grid into docs/paper-scale.md: `make paper-scale`."""

from pathlib import Path

from sc2.commands.measured import read_measured
from sc2.commands.plan import Plan
from sc2.config.load import load_config
from tests.conftest import ROOT
from tests.generated import put

COMMAND = "make paper-scale"
PAGE = ROOT / "docs/paper-scale.md"
MEASURED = ROOT / "docs/paper-scale.json"
"""Sizes of files and operations of steps: sc2 plan --config config/paper.yaml --measure FILE --sizes."""
TFLOPS = 9
"""What a V100 does as it trains ResNet-50 in float32: 367 images per second (docs/paper-scale.md), three times
4.1 · 10⁹ multiply-accumulates each."""
IMAGES = {"ilsvrc2012": 1_281_167 - 10 * 1000, "coco2017": 118_287 - 100, "voc2012": 1_464 - 50}
"""Published training images, less those that are held out to choose a model (config/datasets/)."""


def lines() -> list[str]:
    """Return what the page holds between its marks."""
    config = load_config(Path("config/paper.yaml"))
    # Nothing that happens to have been run here counts.
    plan = Plan(config, Path("no-results"), read_measured(MEASURED), IMAGES, TFLOPS)
    given = " ".join(f"{name}={count}" for name, count in IMAGES.items())
    command = f"$ sc2 plan --config config/paper.yaml --measured {MEASURED.relative_to(ROOT)} --tflops {TFLOPS}"
    command += f" --images {given}"
    return ["```text", command, *plan.text().splitlines(), "```"]


if __name__ == "__main__":
    put(PAGE, COMMAND, lines())
