"""`sc2 serve` and `sc2 offload`: answers, limits, reasons, load, and a server that is killed and comes back."""

import asyncio
import json
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from PIL import Image

from sc2.commands.link import decode_file
from sc2.commands.tokens import read_token
from sc2.device.client import Client, ServerError, Settings
from sc2.errors import ConfigError, WireError
from sc2.runs.artifact import export_artifact
from sc2.serving.app import Limits, build_app
from sc2.serving.batches import Batches, TooMany
from sc2.serving.halves import Request, ServerHalves, UnknownHalf
from sc2.serving.protocol import patient_for
from tests import load
from tests.contract.conftest import eight_images
from tests.served import codec_run, images_of, tiny_run
from tests.tiny_halves import CROP

LIMITS = Limits(most_bytes=65_536, timeout_s=load.STALL_S, batch_s=0.01)


class Running:
    """A server in a thread of this process."""

    def __init__(self, runs: Sequence[Path], limits: Limits = LIMITS, **options: Any) -> None:
        self.halves, self.port = ServerHalves(runs), load.free_port()
        app, http = build_app(self.halves, limits), patient_for(limits.timeout_s)
        config = uvicorn.Config(app, port=self.port, http=http, log_level="error", access_log=False, **options)
        self.server = uvicorn.Server(config)
        self.thread = threading.Thread(target=self.server.run)

    def __enter__(self) -> "Running":
        self.thread.start()
        while not self.server.started:
            time.sleep(0.01)
        return self

    def __exit__(self, *error: object) -> None:
        self.server.should_exit = True
        self.thread.join()

    def client(self, **settings: Any) -> Client:
        return Client(f"http://127.0.0.1:{self.port}", Settings(**{"retries": 0, **settings}))


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A hyperprior, one payload for three tasks, and another rate of the same method."""
    folder = tmp_path_factory.mktemp("runs")
    made = {"hyperprior": tiny_run("entropic_student_mshp", folder / "hyperprior")}
    for task in ("classification", "detection", "segmentation"):
        made[task] = codec_run(task, folder / task, CROP)
    made["other rate"] = codec_run("classification", folder / "other", CROP, point="95")
    export_artifact(made["hyperprior"], folder / "artifact")
    made["artifact"] = folder / "artifact"
    return made


@pytest.fixture(scope="module")
def running(runs: dict[str, Path]) -> Iterator[Running]:
    with Running([path for name, path in runs.items() if name != "artifact"]) as server:
        yield server


def test_one_payload_is_answered_for_every_task(running: Running, runs: dict[str, Path], tmp_path: Path) -> None:
    [container] = images_of(runs["classification"], 1)
    client = running.client()
    answer = client.ask(container)
    assert set(answer["answers"]) == {"classification", "detection", "segmentation"} == set(answer["described"])
    (tmp_path / "c.sc2").write_bytes(container)
    for task in answer["answers"]:
        told = json.loads(decode_file([runs[task]], tmp_path / "c.sc2", top=5, as_json=True))
        assert load.alike(answer["answers"][task], told)
        assert client.ask(container, task=task)["answers"].keys() == {task}
    assert len(client.ask(container, task="classification", top=2)["described"]["classification"].splitlines()) == 2
    with pytest.raises(ServerError, match=r"refuses \(404\): no server half for the task depth; there are halves for"):
        client.ask(container, task="depth")
    client.close()


def test_several_rates_and_methods_in_one_process(running: Running, runs: dict[str, Path]) -> None:
    client = running.client()
    models = {
        client.ask(images_of(runs[name], 1)[0])["model"] for name in ("classification", "other rate", "hyperprior")
    }
    client.close()
    status, body = load.get(running.port, "/health")
    listed = json.loads(body)
    assert (status, listed["status"]) == (200, "ok")
    assert models == {half["model"] for half in listed["halves"]}
    assert len(models) == 3
    assert len(listed["halves"]) == 5


def test_requests_that_come_together_run_together(running: Running, runs: dict[str, Path]) -> None:
    """A batch gives what each request alone would, whatever else is in it, and one that is refused harms no other."""
    good = [*images_of(runs["hyperprior"], 3), *images_of(runs["other rate"], 2)]
    alone = [running.halves.answers([Request(container)])[0] for container in good]
    damaged = good[0][:-1] + bytes([good[0][-1] ^ 1])
    mixed = running.halves.answers([Request(each) for each in [good[0], damaged, *good[1:]]])
    assert isinstance(mixed.pop(1), WireError)
    assert all(load.alike(one, other) for one, other in zip(mixed, alone, strict=True))
    assert len({json.dumps(answer) for answer in alone}) == len(good)
    [unknown] = running.halves.answers([Request(good[0], task="detection")])
    assert isinstance(unknown, UnknownHalf)


def test_load_with_bad_requests_loses_nothing(running: Running, runs: dict[str, Path]) -> None:
    """The size for CI; `python -m tests.load` has 1,000 requests."""
    containers = images_of(runs["hyperprior"], 4)
    answers = [
        each["answers"] for each in running.halves.answers(list(map(Request, containers))) if isinstance(each, dict)
    ]
    outcome = load.run_load(running.port, containers, answers, requests=160, clients=8, bad=16)
    assert outcome.ends == Counter({"good: 200": 144, **{f"{kind}: {end}": 2 for kind, end in load.BAD.items()}})
    assert outcome.wrong == 0
    _, body = load.get(running.port, "/metrics")
    counts = {line.split(" ")[0]: float(line.split(" ")[1]) for line in body.decode().splitlines() if line[0] != "#"}
    assert counts['sc2_requests_total{status="200"}'] >= 144
    assert counts['sc2_requests_total{status="408"}'] == 2
    assert counts['sc2_requests_total{status="413"}'] == 2
    assert counts["sc2_answer_seconds_count"] >= 144
    # Some ran together.
    assert counts["sc2_batch_images_count"] < counts["sc2_batch_images_sum"]
    assert counts["sc2_waiting"] == 0


def test_a_token_is_asked_for_everywhere(runs: dict[str, Path], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    token = read_token(tmp_path / "token")
    [container] = images_of(runs["classification"], 1)
    with Running([runs["classification"]], replace(LIMITS, token=token)) as server:
        for given in (None, "other"):
            with pytest.raises(ServerError, match=r"refuses \(401\): this server needs its token"):
                server.client(token=given).ask(container)
        client = server.client(token=token)
        assert client.ask(container)["answers"]
        client.close()
        for path in ("/health", "/metrics"):
            assert load.get(server.port, path)[0] == 401
            assert load.get(server.port, path, {"Authorization": f"Bearer {token}"})[0] == 200


@pytest.mark.parametrize("content", ["", "two words", "\x07", "é"])
def test_a_file_without_one_token_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "token").write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match="token"):
        read_token(tmp_path / "token")
    with pytest.raises(ConfigError, match="cannot read the token"):
        read_token(tmp_path / "missing")


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """A certificate of this machine's loopback, and its key."""
    paths = tmp_path / "cert.pem", tmp_path / "key.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-days", "1", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"]
    command += ["-out", str(paths[0]), "-keyout", str(paths[1])]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("openssl is not installed")
    return paths


def test_tls(runs: dict[str, Path], certificate: tuple[Path, Path]) -> None:
    [container] = images_of(runs["classification"], 1)
    public, key = certificate
    with Running([runs["classification"]], ssl_certfile=public, ssl_keyfile=key) as server:
        url = f"https://127.0.0.1:{server.port}"
        client = Client(url, Settings(retries=0, ca=public))
        assert client.ask(container)["answers"]
        client.close()
        with pytest.raises(ServerError, match=r"cannot be reached.*certificate verify failed"):
            Client(url, Settings()).ask(container)
        with pytest.raises(ServerError, match="cannot be reached"):
            server.client().ask(container)


@pytest.mark.parametrize("url", ["127.0.0.1:80", "ftp://host", "http://", "http://host:99999"])
def test_an_address_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="--server"):
        Client(url, Settings())


def test_top_must_be_a_number(running: Running, runs: dict[str, Path]) -> None:
    [container] = images_of(runs["classification"], 1)
    with pytest.raises(ServerError, match=r"refuses \(400\): top must be a whole number, not '-1'"):
        running.client().ask(container, top=-1)


def test_two_halves_of_one_task_are_refused(runs: dict[str, Path]) -> None:
    with pytest.raises(ConfigError, match="two server halves for the task detection"):
        ServerHalves([runs["detection"], runs["detection"]])


def test_what_is_no_server_is_named(running: Running) -> None:
    elsewhere = Client(f"http://127.0.0.1:{running.port}/elsewhere", Settings(retries=0))
    with pytest.raises(ServerError, match=r"refuses \(404\)"):
        elsewhere.ask(b"x")
    elsewhere.close()
    client = running.client()
    with pytest.raises(ServerError, match=r"refuses \(400\): the body is empty"):
        client.ask(b"")
    client.close()


def test_more_than_may_wait_are_told_to_come_back() -> None:
    async def ask() -> list[Any]:
        release = threading.Event()

        def answer(requests: Sequence[int]) -> list[int]:
            release.wait(10)
            return [2 * request for request in requests]

        batches: Batches[int, int] = Batches(answer, most=1, wait_s=0, most_waiting=2)
        await batches.start()
        asked = [asyncio.create_task(batches.ask(0))]
        await asyncio.sleep(0.05)
        # The first is being answered, two wait.
        asked += [asyncio.create_task(batches.ask(number)) for number in (1, 2)]
        await asyncio.sleep(0.05)
        with pytest.raises(TooMany):
            await batches.ask(9)
        release.set()
        answers = await asyncio.gather(*asked)
        await batches.stop()
        return answers

    assert asyncio.run(ask()) == [0, 2, 4]


def test_a_network_that_fails_fails_its_requests_alone() -> None:
    async def ask() -> int:
        def answer(requests: Sequence[int]) -> list[int]:
            if 0 in requests:
                raise ZeroDivisionError
            return list(requests)

        batches: Batches[int, int] = Batches(answer, most=1, wait_s=0, most_waiting=2)
        await batches.start()
        with pytest.raises(ZeroDivisionError):
            await batches.ask(0)
        found = await batches.ask(7)
        await batches.stop()
        return found

    assert asyncio.run(ask()) == 7


def test_a_server_that_is_not_there_is_named_and_one_that_comes_back_is_used(runs: dict[str, Path]) -> None:
    [container] = images_of(runs["classification"], 1)
    port = load.free_port()
    with pytest.raises(ServerError, match=r"http://127\.0\.0\.1:\d+ cannot be reached: .*refused"):
        Client(f"http://127.0.0.1:{port}", Settings(retries=0)).ask(container)
    first = Running([runs["classification"]])
    client = first.client(retries=6)
    with first:
        before = client.ask(container)["answers"]
    second = Running([runs["classification"]])
    second.server.config.port = first.port
    starter = threading.Timer(0.3, second.__enter__)
    starter.start()
    # The kept connection is broken, then nobody listens, then the second server does.
    assert load.alike(client.ask(container)["answers"], before)
    client.close()
    starter.join()
    second.__exit__()


def test_offload_prints_answers_without_torch(running: Running, runs: dict[str, Path], tmp_path: Path) -> None:
    paths = [tmp_path / f"{index}.png" for index in range(2)]
    for path, image in zip(paths, eight_images(), strict=False):
        Image.fromarray(image).save(path)
    code = "import sys; from sc2.cli import main; s = main(sys.argv[1:]); print(s, 'torch' in sys.modules)"
    url = f"http://127.0.0.1:{running.port}"
    command = [sys.executable, "-c", code, "offload", *map(str, paths), "--server", url, "--device"]
    done = subprocess.run([*command, str(runs["artifact"]), "--json"], capture_output=True, text=True, check=True)
    *lines, last = done.stdout.splitlines()
    assert last == "0 False"
    told = list(map(json.loads, lines))
    assert [each["image"] for each in told] == list(map(str, paths))
    assert all(each["bytes"] > 22 and each["encode_ms"] > 0 and each["answer_ms"] > 0 for each in told)
    assert all(set(each["answers"]) == {"classification"} for each in told)
    done = subprocess.run([*command, str(tmp_path / "none")], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["2 True"]
    assert "device.pt does not exist" in done.stderr or "does not exist" in done.stderr
