"""Measures what docs/deploying.md shows, on the results that are here: `make deploying` (ARGS=artifacts for a part).

    python -m tests.deploying [walk] [artifacts] [int8] [load] [link] [adaptive]

`link` needs root, `ip` and `tc`. On a machine that does other things as well, start it with `chrt -r 5`.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from sc2.commands.export_device import export_device
from sc2.config.load import load_config
from sc2.data.store import SampleStore
from sc2.provenance.environment import environment
from sc2.runs.artifact import Comparison, compare, export_artifact
from tests import adaptive, load, shaped
from tests.generated import put

PAGE = Path("docs/deploying.md")
RESULTS = Path("results")
CONFIG = Path("config/config.yaml")
BENCHMARK, DATASET = "photodigits_small_resnet", "photodigits"
INT8 = ("entropic_student", "gained_student", "channel_reduction_quantization", "local_model")
ADAPTED = (("lossless_image", "webp"), ("webp", "60"), ("entropic_student", "0.35"), ("local_model", "16"))
LINKED = ("entropic_student", "lossless_image")


def middle_run(method: str, benchmark: str = BENCHMARK) -> Path:
    """Return the folder of the operating point in the middle of a method's grid."""
    points = sorted((RESULTS / "export" / benchmark / method).iterdir(), key=lambda path: path.name)
    return points[len(points) // 2] / "seed0"


def artifacts(limit: int | None = None) -> Iterator[str]:
    """Compare the artifacts of every method on every benchmark with their halves on every test image, or on so many."""
    every = []
    for name, benchmark in load_config(CONFIG).benchmarks.items():
        folder = RESULTS / "data" / benchmark.config.dataset
        store = SampleStore(folder / "index.jsonl", folder / "test.tar", "test")
        count = min(limit or len(store), len(store))
        which = f"All {count:,}" if count == len(store) else f"The first {count:,} of {len(store):,}"
        yield f"{which} test images of `{name}`, with one operating point of each method:"
        yield ""
        yield (
            "| method | point | files, KiB | same payload | symbols | rounded differently | only last bits of real "
            "numbers | payload, bytes (torch) |"
        )
        yield "|---|---|---:|---:|---:|---:|---:|---:|"
        for method in benchmark.methods:
            row, found = _compared(middle_run(method, name), store, count)
            every.append(found)
            yield row
        yield ""
    yield _in_all(every)
    yield ""
    yield f"Measured on {_hardware()}."


def _compared(run: Path, store: SampleStore, count: int) -> tuple[str, Comparison]:
    """Return the row of a run, and what was found."""
    with tempfile.TemporaryDirectory() as scratch:
        target = Path(scratch) / "device"
        artifact = export_artifact(run, target)
        found = compare(run, target, (store.prepared(index, artifact.input)[0] for index in range(count)))
        size = sum(file.stat().st_size for file in target.iterdir()) / 1024
    cells = [f"`{artifact.method}`", artifact.point, f"{size:.0f}", f"{found.same:,} of {found.images:,}"]
    cells += [f"{found.symbols:,}", f"{found.ties:,}", f"{found.side_only:,}"]
    return f"| {' | '.join([*cells, f'{found.bytes:,} ({found.torch_bytes:,})'])} |", found


def _in_all(found: Sequence[Comparison]) -> str:
    """Return what a number of comparisons have found together."""
    images, same, side_only, symbols, ties = (
        sum(getattr(each, name) for each in found) for name in ("images", "same", "side_only", "symbols", "ties")
    )
    return (
        f"In all, {same:,} of {images:,} payloads are the same, {side_only:,} differ in the last bits of real numbers "
        f"alone, and {images - same - side_only:,} in how values between two symbols were rounded: {ties:,} of all "
        f"{symbols:,} symbols are the neighbouring one, or follow from one that is. Nothing else differs."
    )


def int8() -> Iterator[str]:
    """Quantise some methods' networks to 8 bits."""
    yield "```"
    with tempfile.TemporaryDirectory() as scratch:
        for method in INT8:
            run = middle_run(method)
            lines = export_device(run, Path(scratch) / method, RESULTS / "data" / DATASET, None, int8=True)
            yield f"$ sc2 export-device {run} device --images {RESULTS / 'data' / DATASET} --int8"
            yield from (line.replace(f"{scratch}/{method}", "device") for line in lines)
    yield "```"


def loaded() -> Iterator[str]:
    """Send 1,000 requests to a server, 100 of them bad."""
    run = middle_run("entropic_student")
    yield from load.report(run, requests=1000, clients=8, bad=100)
    yield ""
    yield f"Measured on {_hardware()}, clients and server on the same machine."


def linked() -> Iterator[str]:
    """Measure the latency over links with a limited rate."""
    yield from shaped.report([middle_run(method) for method in LINKED], RESULTS / "data" / DATASET, 12)
    yield ""
    others = ", at real-time priority beside other processes" if os.sched_getscheduler(0) == os.SCHED_RR else ""
    yield f"Measured on {_hardware()}{others}, 12 images each, the first one not counted."


def adapted() -> Iterator[str]:
    """Compare the choice of a device half per image with the best fixed one."""
    candidates = adaptive.candidates_of(RESULTS, BENCHMARK, ADAPTED)
    yield from adaptive.report(candidates)
    yield ""
    choices = ", ".join(
        f"{each.name} ({each.right.mean():.1%}, {each.num_bytes.mean():.0f} bytes)" for each in candidates
    )
    yield f"The choices, with accuracy and mean bytes of a container: {choices}."


def _hardware() -> str:
    found = environment()["hardware"]
    return f"{found['cpu']} with {found['cores']} cores"


def walk() -> Iterator[str]:
    """Go the whole way, on the device in an environment with nothing but what its extra installs."""
    with tempfile.TemporaryDirectory() as scratch:
        folder, port = Path(scratch), load.free_port()
        for name in ("results", "tests"):
            (folder / name).symlink_to(Path(name).resolve())
        [photo] = shaped.photographs(folder, RESULTS / "data" / DATASET, 1)
        photo.rename(folder / "photo.png")
        here, device = Path(sys.executable).parent, folder / "device-env" / "bin"
        run, bright = middle_run("entropic_student"), middle_run("gained_student")
        yield "```"
        yield from _shown(folder, here, f"sc2 export-device {run} device")
        yield from _shown(folder, here, "ls -l --time-style=+ device | awk 'NR > 1 {print $5, $6}'")
        yield from _shown(folder, here, "python -m venv device-env")
        install = f"device-env/bin/pip install -qq '{Path.cwd()}[device]'"
        yield from _shown(folder, here, install, "device-env/bin/pip install -qq 'split-computing-sc2[device]'")
        yield from _shown(folder, device, "device-env/bin/pip list 2>/dev/null | awk 'NR > 2 {print $1}' | xargs")
        yield from _shown(folder, device, "sc2 encode device photo.png -o out.sc2")
        timed = "/usr/bin/time -f '%U s user, %S s system, %M KB at most' sc2 encode device photo.png -o out.sc2"
        if Path("/usr/bin/time").is_file():
            yield from _shown(folder, device, timed)
        yield from _shown(folder, device, f"sc2 encode {run} photo.png -o out.sc2")
        yield from _shown(folder, device, "sc2 selftest | tail -n 3")
        yield "```"
        yield ""
        yield "And with a server, which has torch, on the other side:"
        yield ""
        yield "```"
        serve = f"sc2 serve {run} {bright} --port {port}"
        with load.served([run, bright], port):
            yield f"$ {serve.replace(str(port), '8017')} &"
            command = f"sc2 offload photo.png --device device --server http://127.0.0.1:{port} --top 2"
            yield from _shown(folder, device, command, command.replace(str(port), "8017"))
            command = f"curl --silent http://127.0.0.1:{port}/health"
            yield from _shown(folder, device, command, command.replace(str(port), "8017"))
            command = f"sc2 offload out.sc2 --device device --server http://127.0.0.1:{port}"
            yield from _shown(folder, device, command, command.replace(str(port), "8017"))
        command = f"sc2 offload photo.png --device device --server http://127.0.0.1:{port} --retries 0"
        yield from _shown(folder, device, command, command.replace(str(port), "8017"))
        yield "```"


def _shown(folder: Path, tools: Path, command: str, shown: str | None = None) -> Iterator[str]:
    """Run a command in a folder, and yield it and what it prints."""
    environ = {**os.environ, "PATH": f"{tools}:{os.environ['PATH']}"}
    done = subprocess.run(command, shell=True, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    yield f"$ {shown or command}"
    port = re.search(r"127\.0\.0\.1:(\d+)", command)
    for line in (done.stdout + done.stderr).rstrip().splitlines():
        yield line if port is None else line.replace(port[1], "8017")


PARTS: dict[str, Callable[[], Iterator[str]]] = {
    **{"walk": walk, "artifacts": artifacts, "int8": int8, "load": loaded, "link": linked, "adaptive": adapted}
}


def main() -> None:
    """Measure the parts that are asked for, and write them into the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", help=f"{', '.join(PARTS)}; all by default")
    parser.add_argument("--limit", type=int, metavar="N", help="compare artifacts on so many images (default: all)")
    options = parser.parse_args()
    parts = PARTS | {"artifacts": lambda: artifacts(options.limit)}
    for part in options.parts or parts:
        lines = []
        for line in parts[part]():
            print(line, flush=True)
            lines.append(line)
        put(PAGE, f"make deploying ARGS={part}", lines)


if __name__ == "__main__":
    main()
