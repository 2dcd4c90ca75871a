"""`make profile`: its two ways do the same work, and its page is written from records and measurements."""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image
from torch import Tensor

from sc2.config.load import load_config
from sc2.entropy.exact_arrays import ONE
from sc2.entropy.neighbours import NeighbourCoder
from sc2.methods.learned_codec.halves import LearnedCodecDevice
from sc2.provenance.record import read_record, records
from sc2.runs import evaluate, train
from sc2.runs.halves import load_device, load_server
from sc2.split.method import DeviceHalf, ServerHalf
from tests.configuration import CONFIG
from tests.generated import marks, put, table
from tests.performance import coding, decoding, jobs, measure, neighbours, page
from tests.performance.decoding import Decoder, Decoding, Speed
from tests.performance.measure import Comparison
from tests.performance.neighbours import Beside, Coding
from tests.performance.published import Student, send
from tests.performance.setting import Images, Setting, recipe_of
from tests.recorded import Project
from tests.tiny_halves import tiny_halves

DECODERS = [Decoder("one", 2.0, 1.0), Decoder("another", 1.5, 0.25)]
DECODED = Decoding(110.0, DECODERS, 4.0, [Speed(0, 240), Speed(2, 470)])
HARDWARE = {"cpu": "a processor", "cores": 2}


@pytest.fixture(scope="module")
def setting(tmp_path_factory: pytest.TempPathFactory) -> Setting:
    """The default's training, one epoch of few images, which has run."""
    folder = tmp_path_factory.mktemp("performance")
    made = Setting(load_config(CONFIG / "config.yaml"), folder / "setting", Images(train=48, val=16, test=12))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        train.run(made.training())
    return made


def test_both_ways_to_train_have_the_same_loss_and_gradients(setting: Setting) -> None:
    recipe, other = recipe_of(setting.training()), measure.published(setting)
    recipe.set_modes()
    recipe.model.to(memory_format=torch.channels_last)
    images = torch.stack([measure.training_files(setting)[index][0] for index in range(16)])
    losses = []
    for loss in (lambda: recipe.step(images, torch.zeros(16))["loss"], lambda: other.loss(images)):
        torch.manual_seed(1)  # the noise on the latents
        losses.append(loss())
        losses[-1].backward()
    torch.testing.assert_close(*losses, rtol=1e-4, atol=0)
    ours, theirs = dict(recipe.model.named_parameters()), dict(other.student.bottleneck.named_parameters())
    for name in ("encoder.0.weight", "encoder.1.gamma", "decoder.4.weight"):
        assert ours[name].grad is not None
        torch.testing.assert_close(theirs[name].grad, ours[name].grad, rtol=1e-3, atol=1e-2)


def test_both_ways_train_the_same_weights_on_the_same_number_of_batches(setting: Setting) -> None:
    recipe, other = recipe_of(setting.training()), measure.published(setting)
    batch = setting.training().spec["phase"]["batch_size"]
    other.epoch(measure.training_files(setting), batch)
    trained = {id(weight) for group in other.optimizer.param_groups for weight in group["params"]}
    named = {name for name, weight in other.student.bottleneck.named_parameters() if id(weight) in trained}
    expected = {name for name, weight in recipe.model.named_parameters() if not name.startswith("tail")}
    assert named == {name.removeprefix("prior.") for name in expected if "quantiles" not in name}
    steps = {int(state["step"]) for state in other.optimizer.state.values()}
    assert steps == {48 // batch}


def test_both_ways_to_evaluate_decode_the_same_and_answer_the_same(
    setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    evaluation, student, files = setting.evaluation(), measure.trained(setting), measure.files_to_test(setting)
    student.bottleneck.entropy_bottleneck.update(force=True)
    device, _ = load_device(evaluation.input("device"))
    server, _ = load_server(evaluation.input("server"))
    answers = [_same(student, device, server, files[index][0], path) for index, path in enumerate(files.paths)]
    evaluate.run(evaluation)
    assert pd.read_parquet(evaluation.outputs["samples"])["predicted"].tolist() == answers


def _same(student: Student, device: DeviceHalf, server: ServerHalf, image: Tensor, path: Path) -> int:
    sent = send(student, image[None])
    with Image.open(path) as file:
        pixels = np.asarray(file)
    torch.testing.assert_close(sent.latent, server.decode(device.encode(pixels)), rtol=0, atol=1e-6)
    return int(sent.logits.argmax())


def test_an_epoch_is_timed_with_the_real_job(setting: Setting, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    [step, sent] = [measure.steps(setting, repeats=1), measure.evaluations(setting, repeats=2)]
    assert (step.count, len(step.ratios)) == (48 // setting.training().spec["phase"]["batch_size"], 1)
    assert (sent.count, len(sent.ratios)) == (12, 2)
    assert min(*step.ours, *step.theirs, *sent.ours, *sent.theirs) > 0


def test_two_ways_take_turns_and_the_first_time_of_each_is_dropped() -> None:
    calls: list[str] = []

    def way(name: str, seconds: float) -> float:
        calls.append(name)
        return seconds * len(calls)

    found = measure.in_turn("x", lambda: way("a", 1), lambda: way("b", 2), repeats=2, count=4)
    assert "".join(calls) == "baabba"
    assert (found.ours, found.theirs) == ([3, 6], [8, 10])
    assert found.ratio == pytest.approx((8 / 3 + 10 / 6) / 2)
    assert found.milliseconds(found.ours) == 1125


def test_the_tables_are_written_between_the_marks(project: Project, tmp_path: Path) -> None:
    found = [read_record(path) for path in records(tmp_path)]
    assert found
    path = tmp_path / "page.md"
    path.write_text("\n".join(["before", *marks(page.JOBS), "between", *marks(page.TIMED), "after\n"]))
    comparison = Comparison("a step", [0.1, 0.2], [0.3, 0.8], 10)
    run = page.Ran("config/mine.yaml", found)
    for _ in range(2):
        page.write_jobs(path, run)
        page.write_timed(path, [comparison], DECODED, "commit 0123456789", HARDWARE)
    text = path.read_text()
    (begin, end), (second, last) = marks(page.JOBS), marks(page.TIMED)
    assert text.startswith(f"before\n{begin}\n")
    assert f"{end}\nbetween\n{second}\n" in text
    assert text.endswith(f"{last}\nafter\n")
    assert f"{len(found)} jobs took" in text
    assert "| a step | 15 | 55 | 3.5 (3 to 4) | 2 |" in text
    assert sum(row.jobs for row in jobs.by_stage(found)) == len(found)
    page.write_jobs(path, page.Ran("config/mine.yaml", []))
    assert "None of its results is here." in path.read_text()


def test_what_a_seed_trains_is_the_sum_of_its_trainings(project: Project, tmp_path: Path) -> None:
    some = read_record(records(tmp_path)[0])
    trained = {("b", "m", "0"): (3, 4), ("b", "m", "1"): (10,), ("b", "long", "0"): (100,), ("a", "m", "0"): (1.5,)}
    found = [
        some.model_copy(
            update={
                "stage": stage,
                "keys": dict(zip(("benchmark", "method", "seed"), key, strict=True)),
                "seconds": one,
            }
        )
        for key, seconds in trained.items()
        for one in seconds
        for stage in ("train", "evaluate")
    ]
    path = tmp_path / "page.md"
    path.write_text("\n".join(marks(page.SEEDS)))
    page.write_seeds(path, [page.Ran("one.yaml", found[:4]), page.Ran("two.yaml", found[4:])])
    assert "From the records of `one.yaml` and `two.yaml`:" in path.read_text()
    rows = [list(row.values()) for row in table(path, page.SEEDS, "seconds of a seed")]
    # Seed 0 of m has two trainings and 7 s, seed 1 one and 10 s.
    assert rows == [
        ["a", "m", "1", "1", "2", "–"],
        ["b", "long", "1", "1", "100", "–"],
        ["b", "m", "2", "2", "8", "7 to 10"],
    ]


def test_the_page_has_the_tables_that_neighbours_choose_apart(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("\n".join([*marks(page.JOBS), *marks(page.TABLES)]))
    beside = Beside(
        "A method", "1", "per channel", Coding(40.0, 10.0, 20.0, 1000), Coding(30.0, 100.0, 200.0, 9000), 36.0
    )
    page.write_tables(path, [beside], "commit 0123456789", HARDWARE)
    text = path.read_text()
    assert "on commit 0123456789, on a processor with 2 cores." in text
    assert (
        "| A method | 1 | per channel | 40.0 | 30.0 | -25 % | 36.0 | -10 % | 10 → 100 | 20 → 200 | 1,000 → 9,000 |"
        in text
    )
    [row] = table(path, page.TABLES, "by neighbours")
    assert (row["own tables"], row["bytes"], row["by neighbours"]) == ("per channel", "40.0", "30.0")
    page.write_tables(path, [], "commit 0123456789", HARDWARE)
    assert "No exported halves are here." in path.read_text()


def noise(count: int, side: int = 32) -> list[np.ndarray]:
    generator = np.random.default_rng(0)
    return [generator.integers(0, 256, (side, side, 3), dtype=np.uint8) for _ in range(count)]


def test_symbols_arrive_under_tables_that_neighbours_choose() -> None:
    device, server = tiny_halves("entropic_student")
    latents = [device.analyse(pixels) for pixels in noise(4)]
    every = neighbours.known(latents)
    symbols = torch.cat([one.latent for one in every])
    tables = neighbours.counted_tables(every)
    own, other = neighbours.own_tables(device, server, latents, every), neighbours.by_neighbours(tables, None, every)
    assert own.payload_bytes == sum(device.code(latent).num_bytes for latent in latents) / 4
    # Nine tables for each channel; and a stream within a byte of what the tables say.
    assert len(tables["cdf"]) == 9 * symbols.shape[1]
    ideal = sum(NeighbourCoder(tables).bits(one[None]) for one in symbols) / 8 / 4
    assert other.payload_bytes == pytest.approx(ideal, abs=1)
    assert min(own.encode_ns, own.decode_ns, other.encode_ns, other.decode_ns) > 0


def test_with_the_one_above_alone_the_one_to_the_left_makes_no_difference() -> None:
    latent = torch.from_numpy(np.random.default_rng(1).integers(0, 4, (1, 2, 40, 40), dtype=np.int32))
    latent[:, :, 1:] //= 1 + (latent[:, :, :-1] == 0).int()  # small below a zero
    both, above = (
        neighbours.counted_tables([neighbours.Symbols(latent)], above_alone=alone) for alone in (False, True)
    )
    # Table 9 · channel + 3 · level above + level to the left.
    rows = [tables["cdf"].view(2, 3, 3, -1) for tables in (both, above)]
    assert not torch.equal(rows[0][:, :, 0], rows[0][:, :, 1])
    assert torch.equal(rows[1], rows[1][:, :, :1].expand_as(rows[1]))
    assert not torch.equal(rows[1][:, 0], rows[1][:, 2])
    # Below a symbol above 1, as often as it was seen, within what the whole channel adds to each class.
    channel = latent[0, 0].numpy()
    below = channel[1:][channel[:-1] > 1]
    expected = np.bincount(below, minlength=4) / len(below)
    table = rows[1][0, 2, 0, : int(above["cdf_length"][6])].diff() / 2**16
    assert np.allclose(table[:4].numpy(), expected, atol=0.02)


@pytest.mark.parametrize("method", ["entropic_student_mshp", "scale_hyperprior", "joint_autoregressive"])
def test_side_information_is_sent_beside_the_tables_that_neighbours_choose(method: str) -> None:
    device, server = tiny_halves(method)
    latents = [device.analyse(pixels) for pixels in noise(3, side=32 if "student" in method else 64)]
    every = neighbours.known(latents)
    assert {neighbours.coded_now(one, device.tables) for one in every} == {"by side information"}
    # The symbols are those that the decoder gets: around means that side information, or values before, have said.
    for latent, symbols in zip(latents, every, strict=True):
        received = server.decode(device.code(latent))
        assert symbols.latent.shape == received.shape
        if method == "scale_hyperprior":
            assert torch.equal(symbols.latent.float(), received)
    side, tables = neighbours.side_coder(device), neighbours.counted_tables(every)
    other = neighbours.by_neighbours(tables, side, every)
    ideal = sum(NeighbourCoder(tables).bits(one.latent) + side.bits(one.side) for one in every if one.side is not None)
    assert other.payload_bytes == pytest.approx(ideal / 8 / 3, abs=1)


def test_a_joint_prior_s_symbols_are_put_back_in_their_places() -> None:
    """Going through the latent with them gives the values that the decoder gets."""
    device, server = tiny_halves("joint_autoregressive")
    assert isinstance(device, LearnedCodecDevice)
    analysed = device.analyse(noise(1, side=64)[0])
    [symbols] = neighbours.known([analysed])
    joint: Any = device.coder.coder  # type: ignore[attr-defined]
    side = joint._side(symbols.side, *symbols.latent.shape[2:])
    y = joint.context.walk(side, lambda step, *_: symbols.latent.flatten(2)[:, :, step.here].double())
    assert torch.equal((y / ONE).float(), server.decode(device.code(analysed)))
    assert len(symbols.latent.unique()) > 3


def test_eight_bit_symbols_get_an_entropy_coder() -> None:
    device = tiny_halves("channel_reduction_quantization")[0]
    latents = [device.analyse(pixels) for pixels in noise(3)]
    every = neighbours.known(latents)
    assert neighbours.coded_now(every[0], device.tables) == "none, 8 bits each"
    for latent, symbols in zip(latents, every, strict=True):
        assert torch.equal(symbols.latent + latent.zero_point, latent.symbols.int())
        assert symbols.latent.numel() + symbols.extra_bytes == device.code(latent).num_bytes


@pytest.mark.parametrize("method", ["jpeg", "codec_feature_jpeg", "teacher_on_device"])
def test_what_sends_no_latent_is_left_out(method: str) -> None:
    device = tiny_halves(method)[0]
    assert neighbours.symbols_of(device.analyse(noise(1)[0])) is None


def test_only_jobs_as_they_are_planned_now_count(tmp_path: Path, project: Project) -> None:
    config = load_config(CONFIG / "config.yaml")
    assert jobs.of_run(config, tmp_path / "nowhere") == []
    assert jobs.of_run(config, tmp_path) == []


def test_a_page_keeps_the_parts_of_other_commands(tmp_path: Path) -> None:
    path = tmp_path / "page.md"
    path.write_text("\n".join([*marks("make a"), *marks("make b")]))
    put(path, "make a", ["A"])
    put(path, "make b", ["B"])
    assert [line for line in path.read_text().split("\n") if line in ("A", "B")] == ["A", "B"]


def test_the_page_says_how_fast_images_are_decoded_and_how_many_cores_a_gpu_needs() -> None:
    text = "\n".join(decoding.lines(DECODED, "Timed today."))
    assert "| another | 1.50 | 25 % |" in text
    assert "| 2 | 470 |" in text
    # 4 ms of a core for each of 2,500 images a second: ten cores.
    assert "on 2,500 images per second 10.0" in text


def test_decoding_is_measured_on_photographs_read_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "BATCH", 4)
    monkeypatch.setattr("os.cpu_count", lambda: 1)
    measured = decoding.measure(tmp_path, count=9, repeats=1)
    assert [speed.workers for speed in measured.speeds] == [0, 1, 2]
    assert min(speed.images_per_s for speed in measured.speeds) > 0
    assert [decoder.share_equal for decoder in measured.decoders] == [1, 1, 1]
    for path in (tmp_path / "photographs/train/one").iterdir():
        with Image.open(path) as image:
            assert image.size == (500, 375)
    assert (tmp_path / "train.tar").stat().st_size < 20_000


def test_the_coder_is_compared_at_equal_size(monkeypatch: pytest.MonkeyPatch) -> None:
    """In `coding` itself; bounds leave room for a machine whose cores are all busy."""
    monkeypatch.setattr(coding, "COUNT", 2)
    encoding, decoding, library = coding.coding(repeats=3)
    assert encoding.ratio > 2.5
    assert decoding.ratio > 3
    assert library.ratio > 1
