"""The work of the stage `cka` in plain PyTorch, to be timed beside `cargo bench --bench cka`.

python3 benches/cka_torch.py [--threads 2] [--tokens mean_patch|cls|matched_flat|matched_mean] [--shared] [--float32-grams]

A ViT-Ti (12 blocks, width 192, 3 heads, patches of 4 by 4 pixels) that was not trained, 2000 images of 32 by 32 pixels in
batches of 250, nine ratios of dropped patches, three draws of masks: after every block the unbiased minibatch CKA of the full
images' features and the masked ones', in float64. As it is commonly written, the full images are encoded anew for every
ratio and draw; with --shared once a batch, as Umbra does. Dropped patches are not computed in either.
"""

import argparse
import resource
import time

import torch
from torch import nn
from torch.nn import functional as F

DIM, DEPTH, HEADS, PATCH, SIDE = 192, 12, 3, 4, 32
PATCHES = (SIDE // PATCH) ** 2


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(DIM, eps=1e-6), nn.LayerNorm(DIM, eps=1e-6)
        self.qkv, self.proj = nn.Linear(DIM, 3 * DIM), nn.Linear(DIM, DIM)
        self.mlp = nn.Sequential(nn.Linear(DIM, 4 * DIM), nn.GELU(), nn.Linear(4 * DIM, DIM))

    def forward(self, x):
        batch, tokens, _ = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, HEADS, DIM // HEADS).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, DIM))
        return x + self.mlp(self.norm2(x))


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches = nn.Conv2d(3, DIM, PATCH, PATCH)
        self.cls = nn.Parameter(torch.randn(1, 1, DIM) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, PATCHES + 1, DIM) * 0.02)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))

    def forward(self, images, keep=None):
        x = self.patches(images).flatten(2).transpose(1, 2) + self.positions[:, 1:]
        if keep is not None:
            x = torch.gather(x, 1, keep[..., None].expand(-1, -1, DIM))
        x = torch.cat([(self.cls + self.positions[:, :1]).expand(len(x), -1, -1), x], 1)
        after = []
        for block in self.blocks:
            x = block(x)
            after.append(x)
        return after


def features(stream, tokens, keep=None):
    """[batch, dim] of a stream; `keep` picks the patches that the masked image shows too."""
    if tokens == "cls":
        return stream[:, 0]
    patches = stream[:, 1:]
    if keep is not None:
        patches = torch.gather(patches, 1, keep[..., None].expand(-1, -1, DIM))
    return patches.flatten(1) if tokens == "matched_flat" else patches.mean(1)


def gram(x, dtype):
    kernel = (x.to(dtype) @ x.to(dtype).T).double()
    kernel.fill_diagonal_(0)
    n = len(kernel)
    means = kernel.sum(0) / (n - 2)
    means -= means.sum() / (2 * (n - 1))
    kernel -= means[:, None] + means[None, :]
    return kernel.fill_diagonal_(0)


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--images", type=int, default=2000)
    arguments.add_argument("--batch", type=int, default=250)
    arguments.add_argument("--draws", type=int, default=3)
    arguments.add_argument("--tokens", default="mean_patch", choices=["mean_patch", "cls", "matched_flat", "matched_mean"])
    arguments.add_argument("--shared", action="store_true")
    arguments.add_argument("--float32-grams", action="store_true")
    asked = arguments.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(0)
    dtype = torch.float32 if asked.float32_grams else torch.float64
    encoder, images = Encoder().eval(), torch.randn(asked.images, 3, SIDE, SIDE)
    ratios, matched = [i / 10 for i in range(1, 10)], asked.tokens.startswith("matched")
    sums = torch.zeros(3, DEPTH, len(ratios), asked.draws, dtype=torch.float64)
    began = time.perf_counter()
    with torch.inference_mode():
        for batch in images.split(asked.batch):
            shared = encoder(batch) if asked.shared else None
            shared_grams = [gram(features(s, asked.tokens), dtype) for s in shared] if shared and not matched else None
            for column, ratio in enumerate(ratios):
                for draw in range(asked.draws):
                    count = int(PATCHES * (1 - ratio) + 1e-9)
                    noise = torch.rand(1 if matched else len(batch), PATCHES).expand(len(batch), -1)
                    keep = noise.argsort(1)[:, :count]
                    full, masked = shared or encoder(batch), encoder(batch, keep)
                    for block in range(DEPTH):
                        visible = keep if matched else None
                        k = shared_grams[block] if shared_grams else gram(features(full[block], asked.tokens, visible), dtype)
                        l = gram(features(masked[block], asked.tokens), dtype)
                        for at, (a, b) in enumerate([(k, l), (k, k), (l, l)]):
                            sums[at, block, column, draw] += (a * b).sum()
    seconds = time.perf_counter() - began
    cka = (sums[0] / (sums[1] * sums[2]).sqrt()).mean(-1)
    print(f"mean {cka.mean():.4f}, last block at 0.9: {cka[-1, -1]:.4f}")
    print(f"{seconds:.1f} s with {asked.threads} threads, peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
