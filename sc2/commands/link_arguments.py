"""The commands of the link: what the device and the server run, and how a device half becomes an artifact."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]


def add_link(commands: "Commands") -> None:
    """Add the parsers."""
    for add in (_add_encode, _add_decode, _add_export_device, _add_selftest):
        add(commands)


def _add_encode(commands: "Commands") -> None:
    parser = commands.add_parser("encode", help="compress an image with a device half into a .sc2 file")
    parser.add_argument(
        "checkpoint", type=Path, help="device.pt, the folder that holds it, or a folder from export-device"
    )
    parser.add_argument("image", type=Path, help="any image that Pillow reads")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the file to write, e.g. out.sc2")
    _add_rate(parser)
    parser.set_defaults(run=_encode)


def _add_rate(parser: argparse.ArgumentParser) -> None:
    rate = parser.add_mutually_exclusive_group()
    rate.add_argument("--rate", help="another operating point of a half with several, e.g. 2.5")
    rate.add_argument(
        "--budget",
        type=int,
        metavar="BYTES",
        help="the highest rate of such a half whose container has at most so many bytes",
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
    parser.add_argument("container", type=Path, help="the .sc2 file")
    parser.add_argument("--task", help="use only the server half for this task, e.g. detection")
    parser.add_argument("--top", type=int, default=5, help="classes or boxes to print (default: 5)")
    parser.add_argument("--json", action="store_true", help="print everything (logits, boxes, masks) as JSON")
    parser.set_defaults(run=_decode)


def _add_export_device(commands: "Commands") -> None:
    parser = commands.add_parser(
        "export-device",
        help="write a device half as files that need no torch: ONNX, tables, JSON",
        description="Write an exported device half as a folder that `sc2 encode` runs without torch, "
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

    line = encode_file(
        arguments.checkpoint, arguments.image, arguments.output, rate=arguments.rate, budget=arguments.budget
    )
    print(line)


def _decode(arguments: argparse.Namespace) -> None:
    from sc2.commands.link import decode_file

    print(
        decode_file(
            arguments.checkpoints,
            arguments.container,
            task=arguments.task,
            top=arguments.top,
            as_json=arguments.json,
        )
    )


def _export_device(arguments: argparse.Namespace) -> None:
    from sc2.commands.export_device import export_device

    for line in export_device(
        arguments.checkpoint, arguments.folder, arguments.images, arguments.limit, int8=arguments.int8
    ):
        print(line, flush=True)


def _selftest(arguments: argparse.Namespace) -> int:
    from sc2.commands.selftest import selftest

    return selftest(arguments.folder)
