"""One training step of MAE, R-MAE or a supervised ViT in PyTorch, to be timed beside `umbra bench`.

    pip install torch
    python benches/train_torch.py --method mae --scale laptop --batch 256 --steps 12 --threads 2 [--bf16] [--compile]
    umbra bench --method mae --scale laptop --batch 256 --steps 12 --threads 2 --device cpu --json

Models have the shapes of Umbra's scales. A step is forward, backward and AdamW on a random batch that was made before; attention is
PyTorch's fused one, dropped patches are not computed. Prints one line of JSON: the medians of the steps after the first two,
and the largest memory the process held.
"""

import argparse
import json
import resource
import statistics
import time

import torch
from torch import nn
from torch.nn import functional as F

# Image side, patch side, width, depth, heads; the decoder's width, depth, heads.
SCALES = {
    "smoke": (32, 4, 64, 4, 4, 32, 1, 2),
    "quick": (32, 4, 64, 4, 4, 32, 1, 2),
    "laptop": (32, 4, 96, 6, 3, 64, 2, 2),
    "cifar": (32, 4, 192, 12, 3, 192, 4, 3),
    "in100": (224, 16, 384, 12, 6, 512, 8, 16),
    "paper": (224, 16, 768, 12, 12, 512, 8, 16),
}


class Block(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim, eps=1e-6), nn.LayerNorm(dim, eps=1e-6)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.fc1, self.fc2 = nn.Linear(dim, 4 * dim), nn.Linear(4 * dim, dim)
        self.heads = heads

    def forward(self, x):
        batch, tokens, dim = x.shape
        q, k, v = self.qkv(self.norm1(x)).reshape(batch, tokens, 3, self.heads, dim // self.heads).permute(2, 0, 3, 1, 4)
        x = x + self.proj(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(batch, tokens, dim))
        return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))


def gather(tokens, ids):
    return tokens.gather(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


class Model(nn.Module):
    def __init__(self, side, patch, dim, depth, heads, decoder_dim, decoder_depth, decoder_heads, classes=10):
        super().__init__()
        self.count, self.patch = (side // patch) ** 2, patch
        self.embed, self.cls = nn.Linear(3 * patch * patch, dim), nn.Parameter(torch.zeros(1, 1, dim))
        self.register_buffer("positions", torch.randn(1, self.count, dim) * 0.02)
        self.register_buffer("decoder_positions", torch.randn(1, self.count, decoder_dim) * 0.02)
        self.blocks, self.norm = nn.ModuleList(Block(dim, heads) for _ in range(depth)), nn.LayerNorm(dim, eps=1e-6)
        self.decoder_embed, self.mask_token = nn.Linear(dim, decoder_dim), nn.Parameter(torch.zeros(1, 1, decoder_dim))
        self.decoder_blocks = nn.ModuleList(Block(decoder_dim, decoder_heads) for _ in range(decoder_depth))
        self.decoder_norm, self.pred = nn.LayerNorm(decoder_dim, eps=1e-6), nn.Linear(decoder_dim, 3 * patch * patch)
        self.head = nn.Linear(dim, classes)

    def patchify(self, images):
        b, c, h, w = images.shape
        x = images.reshape(b, c, h // self.patch, self.patch, w // self.patch, self.patch)
        return x.permute(0, 2, 4, 3, 5, 1).reshape(b, self.count, self.patch * self.patch * c)

    def encode(self, patches, visible=None):
        tokens = self.embed(patches) + self.positions
        if visible is not None:
            tokens = gather(tokens, visible)
        tokens = torch.cat([self.cls.expand(len(tokens), -1, -1), tokens], 1)
        for block in self.blocks:
            tokens = block(tokens)
        return self.norm(tokens)

    def decode(self, features, visible):
        y = self.decoder_embed(features)
        full = self.mask_token.to(y.dtype).expand(len(y), self.count, -1)
        full = full.scatter(1, visible.unsqueeze(-1).expand(-1, -1, y.shape[-1]), y[:, 1:])
        y = torch.cat([y[:, :1], full + self.decoder_positions], 1)
        for block in self.decoder_blocks:
            y = block(y)
        return self.pred(self.decoder_norm(y))[:, 1:]

    def loss(self, method, images, labels):
        patches = self.patchify(images)
        if method == "supervised":
            return F.cross_entropy(self.head(self.encode(patches)[:, 1:].mean(1)).float(), labels)
        order = torch.rand(len(images), self.count, device=images.device).argsort(1)
        visible, masked = order[:, : self.count // 4], order[:, self.count // 4 :]
        target = (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()
        target = gather(target, masked)
        first = gather(self.decode(self.encode(patches, visible), visible), masked).float()
        if method == "mae":
            return ((first - target) ** 2).mean()
        second = gather(self.decode(self.encode(patches, masked), masked), masked).float()
        return ((first - second) ** 2).mean() + ((second - target) ** 2).mean()


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--method", choices=["mae", "rmae", "supervised"], default="mae")
    arguments.add_argument("--scale", choices=SCALES, default="cifar")
    arguments.add_argument("--batch", type=int, default=256)
    arguments.add_argument("--steps", type=int, default=12)
    arguments.add_argument("--threads", type=int, default=2)
    arguments.add_argument("--device", default="cpu")
    arguments.add_argument("--bf16", action="store_true", help="under autocast")
    arguments.add_argument("--compile", action="store_true", help="torch.compile the loss")
    asked = arguments.parse_args()
    torch.manual_seed(0)
    torch.set_num_threads(asked.threads)
    if asked.device == "cuda":
        torch.set_float32_matmul_precision("high")
    model = Model(*SCALES[asked.scale]).to(asked.device)
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3, betas=(0.9, 0.95), weight_decay=0.05)
    loss_of = torch.compile(model.loss) if asked.compile else model.loss
    side = SCALES[asked.scale][0]
    images = torch.randn(asked.batch, 3, side, side, device=asked.device)
    labels = torch.randint(0, 10, (asked.batch,), device=asked.device)
    times = []
    for _ in range(asked.steps):
        began = time.perf_counter()
        with torch.autocast(asked.device, torch.bfloat16, enabled=asked.bf16):
            loss = loss_of(asked.method, images, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        loss.item()
        times.append(time.perf_counter() - began)
    seconds = statistics.median(times[2:])
    on_gpu = asked.device == "cuda"
    peak = torch.cuda.max_memory_allocated() / 2**20 if on_gpu else resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    shown = {name: getattr(asked, name) for name in ("method", "scale", "batch", "threads", "bf16")}
    numbers = {"images_per_second": round(asked.batch / seconds, 1), "step_ms": round(seconds * 1e3, 1), "peak_mib": round(peak)}
    print(json.dumps(shown | numbers))


if __name__ == "__main__":
    main()
