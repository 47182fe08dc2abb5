"""The loader beside torchvision's on the same images, the two programs in turn: medians of images a second.

    python benches/loader_torchvision.py FOLDER --umbra target/release/umbra --stage finetune --decode

FOLDER holds `train/CLASS/*.jpg`. Both sides have two workers, make the same views in batches of the
same size, and read the files from memory after the first pass. Without --decode both sides keep decoded images: Umbra
in its cache, torchvision in an array. Mixing is off on both sides.
"""

import argparse
import json
import statistics
import subprocess
import time
from pathlib import Path

import numpy
import torch
from PIL import Image
from torch.utils.data import DataLoader, RandomSampler
from torchvision import datasets, transforms as t

WARM_UP = 1.0
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
BICUBIC = t.InterpolationMode.BICUBIC


def views(stage, side):
    """MAE's augmentation: of pretraining, or of fine-tuning with timm's rand-m9-inc1, each operation with chance a half."""
    crop = lambda least: [t.RandomResizedCrop(side, scale=(least, 1.0), interpolation=BICUBIC), t.RandomHorizontalFlip()]
    numbers = [t.ToTensor(), t.Normalize(MEAN, STD)]
    if stage == "pretrain":
        return t.Compose(crop(0.2) + numbers)
    operation = t.RandomApply([t.RandAugment(num_ops=1, magnitude=27, interpolation=BICUBIC)], p=0.5)
    return t.Compose(crop(0.08) + [operation, operation] + numbers + [t.RandomErasing(0.25, value="random")])


class Decoded(torch.utils.data.Dataset):
    """Images decoded once, all to squares of one side, as Umbra's cache keeps them."""

    def __init__(self, folder, side, views):
        fit = t.Compose([t.Resize(side, interpolation=BICUBIC), t.CenterCrop(side)])
        self.images = numpy.stack([numpy.asarray(fit(image)) for image, _ in folder])
        self.views = views

    def __len__(self):
        return len(self.images)

    def __getitem__(self, place):
        return self.views(Image.fromarray(self.images[place])), 0


def torchvision_rate(loader, batch, seconds):
    counted, start = 0, None
    began = time.perf_counter()
    for images, _ in loader:
        now = time.perf_counter()
        if start is None:
            start = now if now - began >= WARM_UP else None
            continue
        counted += batch
        if now - start >= seconds:
            return counted / (now - start)


def umbra(args):
    command = [args.umbra, "data", "bench", str(args.folder), "--stage", args.stage, "--json"]
    command += ["--image-size", str(args.size), "--batch", str(args.batch), "--threads", "2", "--seconds", str(args.seconds)]
    command += ["--decode"] if args.decode else []
    if args.stage == "finetune":
        for setting in ["augment.crop=resized", "augment.rand_augment=9", "augment.random_erasing=0.25", "classify.mix_prob=0"]:
            command += ["--set", setting]
    return json.loads(subprocess.run(command, check=True, capture_output=True).stdout)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--umbra", required=True)
    parser.add_argument("--stage", choices=["pretrain", "finetune"], default="pretrain")
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--decode", action="store_true")
    args = parser.parse_args()

    kept = umbra(args)["kept"]
    folder = datasets.ImageFolder(args.folder / "train")
    if args.decode:
        folder.transform = views(args.stage, args.size)
    else:
        folder = Decoded(folder, kept[0], views(args.stage, args.size))
    sampler = RandomSampler(folder, replacement=True, num_samples=10**9)
    ours, theirs = [], []
    for _ in range(args.pairs):
        ours.append(umbra(args)["images_per_second"])
        loader = DataLoader(folder, args.batch, sampler=sampler, num_workers=2)
        theirs.append(torchvision_rate(loader, args.batch, args.seconds))
    ratio = statistics.median(a / b for a, b in zip(ours, theirs))
    one, other = statistics.median(ours), statistics.median(theirs)
    print(f"{args.stage} {args.size} px, kept {kept}: {one:.0f} against {other:.0f} images/s, ratio {ratio:.1f}")


main()
