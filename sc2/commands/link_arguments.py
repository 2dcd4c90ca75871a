"""The commands of the link: what the device and the server run, and how a device half becomes an artifact."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from sc2.errors import ConfigError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_link(commands: "Commands") -> None:
    """Add the parsers."""
    for add in (_add_encode, _add_decode, _add_export_device, _add_serve, _add_offload, _add_selftest):
        add(commands)


def _add_encode(commands: "Commands") -> None:
    parser = commands.add_parser(
        "encode",
        help="compress an image with a device half into a .sc2 file, or several into a session file",
        epilog="example of a session: sc2 encode device a.png b.png c.png --session -o trip.sc2",
    )
    parser.add_argument(
        "checkpoint", type=Path, help="device.pt, the folder that holds it, or a folder from export-device"
    )
    parser.add_argument(
        "images", type=Path, nargs="+", metavar="image", help="any image that Pillow reads; several with --session"
    )
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write, e.g. out.sc2")
    parser.add_argument(
        "--session",
        action="store_true",
        help="write one session file of all images instead of a container: what they share is said once, and an image "
        "costs a few bytes more than its payload",
    )
    _add_rate(parser, "container (with --session: packet, without the length before it)")
    parser.set_defaults(run=_encode)


def _add_rate(parser: argparse.ArgumentParser, sent: str = "container") -> None:
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--rate", help="another operating point of a half with several, e.g. 2.5")
    rate.add_argument(
        "--budget",
        type=int,
        metavar="BYTES",
        help=f"the highest rate of such a half whose {sent} has at most so many bytes",
    )


def _add_decode(commands: "Commands") -> None:
    parser = commands.add_parser(
        "decode",
        help="predict from a .sc2 file with a server half, or with one per task",
        epilog="example, three predictions from one payload: sc2 decode CLASSIFIER DETECTOR SEGMENTER photo.sc2",
    )
    parser.add_argument(
        "checkpoints", type=Path, nargs="+", metavar="checkpoint", help="server.pt, or the folder that holds it"
    )
    parser.add_argument("container", type=Path, help="the .sc2 file: a container, also from a pipe, or a session file")
    parser.add_argument("--task", help="use only the server half for this task, e.g. detection")
    parser.add_argument("--top", type=int, default=5, help="classes or boxes to print (default: 5)")
    parser.add_argument(
        "--json",
        action="store_true",
        help="print everything (logits, boxes, masks) as JSON; of a session file, a line per image",
    )
    parser.set_defaults(run=_decode)


def _add_export_device(commands: "Commands") -> None:
    parser = commands.add_parser(
        "export-device",
        help="write a device half as files that need no torch: ONNX, tables, JSON",
        description="Write an exported device half as a folder that `sc2 encode` and `sc2 offload` run without torch, "
        "and compare the two on images where some are given.",
        epilog="example: sc2 export-device results/export/…/seed0 device --images results/data/photodigits",
    )
    parser.add_argument("checkpoint", type=Path, help="device.pt, or the folder that holds it")
    parser.add_argument("folder", type=Path, help="the folder to write")
    parser.add_argument(
        "--images",
        type=Path,
        metavar="DATASET",
        help="a prepared data set, e.g. results/data/photodigits: encode its test split with both halves, count values "
        "that are rounded differently, and refuse any other difference",
    )
    parser.add_argument("--limit", type=int, metavar="N", help="with --images: only the first N images")
    parser.add_argument(
        "--int8", action="store_true", help="with --images: the network in 8 bits, and what that costs in quality"
    )
    parser.set_defaults(run=_export_device)


def _add_serve(commands: "Commands") -> None:
    parser = commands.add_parser(
        "serve",
        help="answer containers over HTTP with one or more server halves",
        description="Answer POST /v1/answers, whose body is one container, with the predictions of every server half "
        "of its device half: several tasks on one payload, several rates, several methods in one process.",
        epilog="GET /health says which halves there are, GET /metrics counts for Prometheus; docs/deploying.md",
    )
    parser.add_argument("checkpoints", type=Path, nargs="+", metavar="checkpoint", help="server.pt, or its folder")
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: this machine only)")
    parser.add_argument("--port", type=int, default=8017, help="port (default: 8017)")
    parser.add_argument("--most-bytes", type=int, default=2**20, help="largest container (default: 1 MiB)")
    parser.add_argument("--most-waiting", type=int, default=64, help="requests that may wait (default: 64)")
    parser.add_argument("--batch", type=int, default=16, help="images that one run of a network takes (default: 16)")
    parser.add_argument("--batch-ms", type=float, default=2.0, help="how long a batch waits for more (default: 2 ms)")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds for a request to arrive (default: 10)")
    parser.add_argument("--token-file", type=Path, help="file with the token that clients must send")
    parser.add_argument("--certificate", type=Path, help="TLS certificate (PEM); needs --key")
    parser.add_argument("--key", type=Path, help="private key of the certificate (PEM)")
    parser.add_argument("--threads", type=int, default=1, help="threads of the networks (default: 1)")
    parser.set_defaults(run=_serve)


def _add_offload(commands: "Commands") -> None:
    parser = commands.add_parser(
        "offload",
        help="encode images with a device half, send them to sc2 serve, print the answers",
        epilog="example: sc2 offload photo.png --device device --server http://192.168.1.10:8017",
    )
    parser.add_argument("images", type=Path, nargs="+", metavar="IMAGE", help="any image that Pillow reads")
    parser.add_argument("--server", required=True, metavar="URL", help="address of sc2 serve, http:// or https://")
    parser.add_argument(
        "--device",
        type=Path,
        nargs="+",
        required=True,
        metavar="FOLDER",
        help="folder from export-device, or a device.pt; several, the best first, with --adaptive",
    )
    parser.add_argument(
        "--adaptive",
        type=float,
        metavar="MS",
        help="a deadline: send each image with the first device half whose answer is expected within it; one that "
        "classifies on the device itself (local_model) waits for no answer",
    )
    parser.add_argument("--task", help="ask for this task only, e.g. detection")
    parser.add_argument("--top", type=int, default=5, help="classes or boxes to print (default: 5)")
    parser.add_argument("--json", action="store_true", help="print a line of JSON per image, with bytes and times")
    parser.add_argument("--timeout", type=float, default=10.0, help="seconds to wait for the server (default: 10)")
    parser.add_argument("--retries", type=int, default=3, help="tries after one that failed (default: 3)")
    parser.add_argument("--token-file", type=Path, help="file with the server's token")
    parser.add_argument("--ca", type=Path, help="certificates to trust (PEM), for a server with its own")
    _add_rate(parser)
    parser.set_defaults(run=_offload)


def _add_selftest(commands: "Commands") -> None:
    parser = commands.add_parser(
        "selftest",
        help="encode and decode the golden streams on this machine",
        description="Encode and decode the conformance streams of every method on this machine. Without torch, only "
        "what the device does is checked.",
    )
    default = Path("tests/golden/v1")
    parser.add_argument("folder", type=Path, nargs="?", default=default, help=f"default: {default}")
    parser.set_defaults(run=_selftest)


def _encode(arguments: argparse.Namespace) -> None:
    from sc2.commands.link import encode_file
    from sc2.commands.session import encode_session

    options = {"rate": arguments.rate, "budget": arguments.budget}
    if arguments.output.resolve() in (image.resolve() for image in arguments.images):
        raise ConfigError(f"{arguments.output} is one of the images: name another file with --output")
    if arguments.session:
        for line in encode_session(arguments.checkpoint, arguments.images, arguments.output, **options):
            print(line, flush=True)
    elif len(arguments.images) == 1:
        print(encode_file(arguments.checkpoint, arguments.images[0], arguments.output, **options))
    else:
        raise ConfigError(
            f"a container holds one image, not {len(arguments.images)}: call sc2 encode for each of them, or add "
            "--session for one file of all"
        )


def _decode(arguments: argparse.Namespace) -> None:
    from sc2.commands.link import decode_file
    from sc2.commands.session import decode_session
    from sc2.split.session_file import is_session_file

    options = {"task": arguments.task, "top": arguments.top, "as_json": arguments.json}
    if is_session_file(arguments.container):
        for line in decode_session(arguments.checkpoints, arguments.container, **options):
            print(line, flush=True)
    else:
        print(decode_file(arguments.checkpoints, arguments.container, **options))


def _export_device(arguments: argparse.Namespace) -> None:
    from sc2.commands.export_device import export_device

    for line in export_device(
        arguments.checkpoint, arguments.folder, arguments.images, arguments.limit, int8=arguments.int8
    ):
        print(line, flush=True)


def _serve(arguments: argparse.Namespace) -> None:
    from sc2.commands.serve import serve

    serve(arguments)


def _offload(arguments: argparse.Namespace) -> None:
    from sc2.commands.offload import offload

    for line in offload(arguments):
        print(line, flush=True)


def _selftest(arguments: argparse.Namespace) -> int:
    from sc2.commands.selftest import selftest

    return selftest(arguments.folder)
