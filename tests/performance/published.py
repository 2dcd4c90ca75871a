"""The Entropic Student as its authors' tools train and evaluate it: what `make profile` compares this project with.

Written from descriptions of torchdistill and SC2 Bench, not copied: images are opened and transformed one by one in a
`Dataset`, the networks are CompressAI's and lie in memory as torch makes them, and an evaluation sends one image after
another through CompressAI's coder and pickles what it sends to count it.
"""

import io
import pickle
import sys
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from compressai.entropy_models import EntropyBottleneck
from compressai.layers import GDN1
from PIL import Image
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchdistill.core.forward_hook import ForwardHookManager
from torchvision import transforms

from sc2.backbones.base import StagedModel
from sc2.data.spec import InputSpec
from sc2.data.store import SampleStore
from sc2.methods.student.params import StudentArch

BOTTLENECK = "bottleneck"


class Files(Dataset[tuple[Tensor, int]]):
    """Image files with a class each; an item is opened, transformed and returned anew each time.

    Args:
        paths: The files.
        labels: Class of each.
        transform: From a PIL image to a tensor [3, H, W].
    """

    def __init__(self, paths: Sequence[Path], labels: Sequence[int], transform: Any) -> None:
        self.paths, self.labels, self.transform = paths, labels, transform

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, index: int) -> tuple[Tensor, int]:
        with self.paths[index].open("rb") as file:
            image = Image.open(file).convert("RGB")
        return self.transform(image), self.labels[index]


def files_of(store: SampleStore, folder: Path, transform: Any) -> Files:
    """Write the samples of a split into a folder as they are stored, a file each."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = [folder / f"{index}.ppm" for index in range(len(store))]
    for index, path in enumerate(paths):
        path.write_bytes(store.read(index))
    return Files(paths, store.labels, transform)


def transform_of(spec: InputSpec, shift_px: int = 0) -> Any:
    """Return torchvision's way from a stored image of the input's size to the input, moved at random in training."""
    moved = [transforms.RandomCrop(spec.crop, padding=shift_px, padding_mode="reflect")] if shift_px else []
    return transforms.Compose([*moved, transforms.ToTensor(), transforms.Normalize(spec.mean, spec.std)])


class Bottleneck(nn.Module):
    """g_a, CompressAI's entropy bottleneck, and g_s; images [B, 3, H, W] to features and likelihoods."""

    def __init__(self, arch: StudentArch, target: int) -> None:
        super().__init__()
        first, second, latent = arch.encoder_channels
        self.encoder = nn.Sequential(
            nn.Conv2d(3, first, kernel_size=5, stride=2, padding=2, bias=False),
            GDN1(first),
            nn.Conv2d(first, second, kernel_size=5, stride=2, padding=2, bias=False),
            GDN1(second),
            nn.Conv2d(second, latent, kernel_size=2, bias=False),
        )
        self.entropy_bottleneck = EntropyBottleneck(latent)
        first, second = arch.decoder_channels
        self.decoder = nn.Sequential(
            nn.Conv2d(latent, first, kernel_size=2, padding=1, bias=False),
            GDN1(first, inverse=True),
            nn.Conv2d(first, second, kernel_size=2, bias=False),
            GDN1(second, inverse=True),
            nn.Conv2d(second, target, kernel_size=2, padding=1, bias=False),
        )
        if arch.output_norm:
            self.decoder.append(nn.BatchNorm2d(target))
        if arch.output_relu:
            self.decoder.append(nn.ReLU())

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        latent, likelihoods = self.entropy_bottleneck(self.encoder(images))
        return self.decoder(latent), likelihoods


class Student(nn.Module):
    """The bottleneck in place of the first stages, and the rest of the teacher.

    Args:
        arch: The bottleneck's architecture.
        teacher: The network whose later stages are used.
        state: State dict of this project's student, whose weights are taken.
    """

    def __init__(self, arch: StudentArch, teacher: StagedModel, state: Mapping[str, Tensor]) -> None:
        super().__init__()

        def part(prefix: str) -> dict[str, Tensor]:
            return {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}

        decoder = part("decoder.")
        target = next(value.shape[0] for name, value in decoder.items() if name == "4.weight")
        self.bottleneck = Bottleneck(arch, target)
        self.bottleneck.encoder.load_state_dict(part("encoder."))
        self.bottleneck.decoder.load_state_dict(decoder)
        self.bottleneck.entropy_bottleneck.load_state_dict(part("prior.entropy_bottleneck."), strict=False)
        tail = teacher.after(arch.cut)
        tail.load_state_dict(part("tail."))
        self.stages = nn.ModuleDict({name: deepcopy(stage) for name, stage in tail.stages.items()})

    def forward(self, images: Tensor) -> Tensor:
        """Run the student up to its head."""
        features, _ = self.bottleneck(images)
        for name, stage in self.stages.items():
            if name != "head":
                features = stage(features)
        return features

    def answer(self, latent: Tensor) -> Tensor:
        """Return the logits [B, K] for decoded latents."""
        features = self.bottleneck.decoder(latent)
        for stage in self.stages.values():
            features = stage(features)
        return features


class Distillation:
    """The first phase: imitate the teacher's features at a price of bits.

    Args:
        student: In training mode afterwards, but for its frozen stages.
        teacher: The teacher.
        arch: Cut and hint layers.
        beta: Price of a bit.
        rates: Learning rates of the weights and of the quantiles.
    """

    def __init__(
        self, student: Student, teacher: StagedModel, arch: StudentArch, beta: float, rates: tuple[float, float]
    ) -> None:
        self.student, self.teacher, self.beta = student.train(), teacher.eval(), beta
        self.student.stages.eval().requires_grad_(False)
        device = torch.device("cpu")
        self.of_student, self.of_teacher = ForwardHookManager(device), ForwardHookManager(device)
        self.pairs = [(BOTTLENECK if hint == arch.cut else f"stages.{hint}", f"stages.{hint}") for hint in arch.hints]
        for own, other in self.pairs:
            self.of_student.add_hook(student, own, requires_input=False, requires_output=True)
            self.of_teacher.add_hook(teacher, other, requires_input=False, requires_output=True)
        if arch.cut not in arch.hints:
            self.of_student.add_hook(student, BOTTLENECK, requires_input=False, requires_output=True)
        self.criterion = nn.MSELoss(reduction="sum")
        named = student.bottleneck.named_parameters()
        self.optimizer = torch.optim.Adam([weight for name, weight in named if "quantiles" not in name], lr=rates[0])
        self.auxiliary = torch.optim.Adam([student.bottleneck.entropy_bottleneck.quantiles], lr=rates[1])

    def loss(self, images: Tensor) -> Tensor:
        """Return the loss of a batch [B, 3, H, W]."""
        with torch.no_grad():
            self.teacher.features(images)
        self.student(images)
        own, other = self.of_student.pop_io_dict(), self.of_teacher.pop_io_dict()
        features, likelihoods = own[BOTTLENECK]["output"]
        loss = self.beta * -likelihoods.log2().sum()
        for path, of_teacher in self.pairs:
            output = features if path == BOTTLENECK else own[path]["output"]
            loss = loss + self.criterion(output, other[of_teacher]["output"])
        return loss

    def epoch(self, files: Files, batch_size: int) -> float:
        """Train on every file once and return the mean loss."""
        loader = DataLoader(files, batch_size=batch_size, shuffle=True, num_workers=0, drop_last=True)
        losses = []
        for images, _ in loader:
            loss = self.loss(images)
            self.optimizer.zero_grad()
            loss.backward()
            self.optimizer.step()
            auxiliary = self.student.bottleneck.entropy_bottleneck.loss()
            self.auxiliary.zero_grad()
            auxiliary.backward()
            self.auxiliary.step()
            losses.append(loss.item())
        return sum(losses) / len(losses)


@dataclass(frozen=True)
class Sent:
    """One image that was sent.

    Attributes:
        size: Bytes of what was pickled.
        latent: What the server decoded, [1, C, h, w].
        logits: Its answer, [1, K].
    """

    size: int
    latent: Tensor
    logits: Tensor


def send(student: Student, image: Tensor) -> Sent:
    """Send one image [1, 3, H, W]; the student is in eval mode, and its coding tables are up to date."""
    bottleneck = student.bottleneck
    with torch.inference_mode():
        latent = bottleneck.encoder(image)
        strings = bottleneck.entropy_bottleneck.compress(latent)
        sent = {"strings": [strings], "shape": latent.shape[2:]}
        file = io.BytesIO()
        pickle.dump(sent, file)
        decoded = bottleneck.entropy_bottleneck.decompress(sent["strings"][0], sent["shape"])
        return Sent(sys.getsizeof(file.getvalue()), decoded, student.answer(decoded))


def evaluate(student: Student, files: Files) -> tuple[float, float, float]:
    """Send all files one by one; return the mean size (bytes), and the shares right at once and among five."""
    student.eval()
    student.bottleneck.entropy_bottleneck.update(force=True)
    sizes, right, among_five = [], 0.0, 0.0
    for image, label in DataLoader(files, batch_size=1, num_workers=0):
        sent = send(student, image)
        sizes.append(sent.size)
        best = sent.logits.topk(5).indices.eq(label[:, None])
        right += best[:, :1].sum().item()
        among_five += best.sum().item()
    return sum(sizes) / len(sizes), right / len(sizes), among_five / len(sizes)
