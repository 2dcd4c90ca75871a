"""Latency over a link with a limited rate: the formulas by hand, and a measurement where the machine allows it."""

from pathlib import Path

import pytest
from PIL import Image

from sc2.measure.channel import Channel, Preset
from sc2.runs.artifact import export_artifact
from tests import shaped
from tests.contract.conftest import eight_images
from tests.served import codec_run
from tests.shaped import BUCKET, Measured
from tests.tiny_halves import CROP

SLOW = Preset("slow", "Slow", Channel(64.0, 60.0), "this test", "computed", "this test", "computed")


def test_the_formulas_count_the_container_or_all_that_the_bucket_holds_back() -> None:
    measured = Measured(1000.0, BUCKET + 1600.0, encode_ms=3.0, answer_ms=5.0, total_ms=400.0, p95_ms=420.0)
    assert measured.formula_ms(SLOW.channel) == pytest.approx(3 + 8 * 1000 / 64 + 60 + 5)
    assert measured.predicted_ms(SLOW.channel) == pytest.approx(3 + 8 * 1600 / 64 + 60 + 5)
    small = Measured(40.0, BUCKET - 1.0, encode_ms=3.0, answer_ms=5.0, total_ms=70.0, p95_ms=71.0)
    assert small.predicted_ms(SLOW.channel) == pytest.approx(3 + 60 + 5)


def test_what_a_link_without_the_tools_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    assert shaped.usable() == "not root"
    monkeypatch.setattr("os.geteuid", lambda: 0)
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert shaped.usable() == "no ip or tc (Debian: iproute2)"


def test_a_shaped_link_takes_as_long_as_the_model_says(tmp_path: Path) -> None:
    """JPEG files of some 800 bytes over 64 kbit/s and a round trip of 60 ms, between two namespaces."""
    problem = shaped.usable()
    if problem:
        pytest.skip(f"this machine cannot limit a link: {problem}")
    run = codec_run("classification", tmp_path / "run", CROP, point="95")
    export_artifact(run, tmp_path / "artifact")
    images = [tmp_path / f"{index}.png" for index in range(4)]
    for pixels, path in zip(eight_images(), images, strict=False):
        Image.fromarray(pixels).save(path)
    [(link, found)] = shaped.measure(run, tmp_path / "artifact", images, [SLOW])
    assert link is SLOW
    assert found.link_bytes > found.container_bytes > 500
    # No link is faster than its rate and round trip, connecting apart, which is in the bytes; a busy machine is slower.
    predicted = found.predicted_ms(link.channel)
    assert predicted - found.answer_ms - 20 < found.total_ms < predicted + 1000
    assert predicted - found.answer_ms > 60 + 8 * 500 / 64
