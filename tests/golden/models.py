"""Writes golden.safetensors and golden.json: ViT, MAE and R-MAE in float64, computed with PyTorch and timm.

    pip install -r tests/golden/requirements.txt
    python tests/golden/models.py --check    # compares with the files beside it, and writes nothing
    python tests/golden/models.py            # writes them

golden.safetensors has a tiny model's weights (the encoder under timm's names, the decoder under the MAE repository's), its
inputs (`in.*`) and what must come out (`out.*`: features, predictions, gradients); golden.json has losses and norms of gradients.
Tensors are float32 on disk. Read by src/methods/golden.rs.

Conventions: images [B, 3, H, W]; patches row by row; a patch vector is (row, column, channel), channel fastest; `masked` is 1
where a patch is masked; targets are normalized by their unbiased variance with epsilon 1e-6; positions are MAE's fixed sines and
cosines, the half of the columns first.
"""

import argparse
import functools
import json
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from timm.models.vision_transformer import Block, VisionTransformer
from torch import nn
from torch.nn import functional as F

HERE = Path(__file__).parent
SEED = 7
IMAGES, SIZE, PATCH = 3, 16, 4
DIM, DEPTH, HEADS = 24, 3, 3
DECODER_DIM, DECODER_DEPTH, DECODER_HEADS = 16, 2, 2
SIDE = SIZE // PATCH
PATCHES = SIDE**2


def sincos_1d(dim, positions):
    omega = 1.0 / 10000 ** (torch.arange(dim // 2, dtype=torch.float64) / (dim / 2))
    angles = positions.reshape(-1, 1).double() * omega
    return torch.cat([angles.sin(), angles.cos()], 1)


def sincos_2d(dim):
    row, column = torch.meshgrid(torch.arange(SIDE), torch.arange(SIDE), indexing="ij")
    table = torch.cat([sincos_1d(dim // 2, column), sincos_1d(dim // 2, row)], 1)
    return torch.cat([torch.zeros(1, dim, dtype=torch.float64), table]).unsqueeze(0)


def patchify(images):
    b, c, h, w = images.shape
    x = images.reshape(b, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return x.permute(0, 2, 4, 3, 5, 1).reshape(b, PATCHES, PATCH * PATCH * c)


def normalize(patches):
    return (patches - patches.mean(-1, keepdim=True)) / (patches.var(-1, keepdim=True) + 1e-6).sqrt()


def gather(tokens, ids):
    return tokens.gather(1, ids.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))


class Mae(nn.Module):
    """arXiv 2111.06377, with the field names of its repository; the encoder is timm's."""

    def __init__(self):
        super().__init__()
        norm = functools.partial(nn.LayerNorm, eps=1e-6)
        self.vit = VisionTransformer(
            img_size=SIZE, patch_size=PATCH, embed_dim=DIM, depth=DEPTH, num_heads=HEADS, num_classes=0, norm_layer=norm
        )
        self.vit.pos_embed.data = sincos_2d(DIM)
        self.vit.pos_embed.requires_grad = False
        self.decoder_embed = nn.Linear(DIM, DECODER_DIM)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, DECODER_DIM))
        self.decoder_pos_embed = nn.Parameter(sincos_2d(DECODER_DIM), requires_grad=False)
        block = functools.partial(Block, DECODER_DIM, DECODER_HEADS, 4.0, qkv_bias=True, norm_layer=norm)
        self.decoder_blocks = nn.ModuleList([block() for _ in range(DECODER_DEPTH)])
        self.decoder_norm = norm(DECODER_DIM)
        self.decoder_pred = nn.Linear(DECODER_DIM, PATCH * PATCH * 3)

    def embed(self, images):
        return self.vit.patch_embed(images) + self.vit.pos_embed[:, 1:]

    def with_cls(self, tokens):
        cls = (self.vit.cls_token + self.vit.pos_embed[:, :1]).expand(len(tokens), -1, -1)
        return torch.cat([cls, tokens], 1)

    def predict(self, images, masked):
        """Predictions for every patch, [B, patches, p * p * 3], from the patches where `masked` is 0."""
        visible = torch.stack([(mask == 0).nonzero().flatten() for mask in masked])
        features = self.vit.norm(self.vit.blocks(self.with_cls(gather(self.embed(images), visible))))
        y = self.decoder_embed(features)
        full = self.mask_token.expand(len(y), PATCHES, -1).clone()
        full = full.scatter(1, visible.unsqueeze(-1).expand(-1, -1, y.shape[-1]), y[:, 1:])
        y = torch.cat([y[:, :1], full], 1) + self.decoder_pos_embed
        for block in self.decoder_blocks:
            y = block(y)
        return self.decoder_pred(self.decoder_norm(y))[:, 1:]


def masked_mean(error, where):
    return (error.mean(-1) * where).sum() / where.sum()


def random_masks(count):
    order = torch.rand(IMAGES, PATCHES).argsort(1)
    return torch.zeros(IMAGES, PATCHES).scatter(1, order[:, :count], 1.0)


def gradient_norm(model):
    gradients = [p.grad for p in model.parameters() if p.grad is not None]
    return torch.sqrt(sum((g**2).sum() for g in gradients)).item()


def gradients_of(model, loss):
    model.zero_grad()
    loss.backward()
    return {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}


def made():
    """A model and its inputs, which float32 holds exactly."""
    model = Mae()
    for p in model.parameters():
        if p.requires_grad:
            nn.init.normal_(p, std=0.5)
    for p in model.parameters():
        p.data = p.data.float().double()
    noise = torch.randn(IMAGES, 3, SIZE, SIZE) * 0.6
    # Patches differ in their mean, as those of photographs do.
    images = noise + F.interpolate(torch.randn(IMAGES, 3, SIDE, SIDE), size=SIZE)
    return model, images.float().double(), random_masks(PATCHES * 3 // 4)


def backbone(model, images):
    """The residual stream after every block, and the final norm, of full images."""
    tensors, tokens = {}, model.with_cls(model.embed(images))
    for index, block in enumerate(model.vit.blocks):
        tokens = block(tokens)
        tensors[f"out.vit.block{index}"] = tokens
    return tensors | {"out.vit.norm": model.vit.norm(tokens)}


MAE_GRADIENTS = [
    "vit.patch_embed.proj.weight",
    "vit.cls_token",
    "vit.blocks.0.attn.qkv.weight",
    "vit.blocks.2.mlp.fc2.bias",
    "mask_token",
    "decoder_blocks.1.norm1.weight",
    "decoder_pred.weight",
]


def mae(model, images, masked):
    target, predicted = patchify(images), model.predict(images, masked)
    loss = masked_mean((predicted - normalize(target)) ** 2, masked)
    gradients = gradients_of(model, loss)
    tensors = {"out.mae.pred": predicted} | {f"out.mae.grad.{name}": gradients[name] for name in MAE_GRADIENTS}
    return tensors, {
        "mae.loss": loss.item(),
        "mae.grad_norm": gradient_norm(model),
        "mae.loss_raw_pixels_same_pred": masked_mean((predicted - target) ** 2, masked).item(),
    }


def rmae(model, images, masked):
    """arXiv 2208.04164, Eq. 8: the complement, the dagger (a quarter masked independently), the double dagger (full images)."""
    second = random_masks(PATCHES // 4)
    target = normalize(patchify(images))
    variants = {
        "rmae": (1 - masked, masked),
        "rmae_dagger": (second, masked * (1 - second)),
        "rmae_double_dagger": (torch.zeros(IMAGES, PATCHES), masked),
    }
    tensors, scalars = {"in.masked_t2_dagger": second}, {}
    for name, (other, where) in variants.items():
        first, view = model.predict(images, masked), model.predict(images, other)
        distance = masked_mean((first - view) ** 2, where)
        constraint = masked_mean((view - target) ** 2, where)
        loss = distance + constraint
        weight = "vit.blocks.0.attn.qkv.weight"
        tensors[f"out.{name}.grad.{weight}"] = gradients_of(model, loss)[weight]
        scalars[name] = {
            "distance": distance.item(),
            "constraint": constraint.item(),
            "loss": loss.item(),
            "grad_norm": gradient_norm(model),
        }
    return tensors, scalars


def adamw(model, images, masked):
    """Three steps on MAE's loss. Vectors and biases do not decay."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.05},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.95), eps=1e-8)
    target, losses = normalize(patchify(images)), []
    for _ in range(3):
        loss = masked_mean((model.predict(images, masked) - target) ** 2, masked)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    weight = model.vit.blocks[1].mlp.fc1.weight
    return {"out.adamw.vit.blocks.1.mlp.fc1.weight": weight}, {"mae.adamw_losses": losses}


def compute():
    torch.manual_seed(SEED)
    torch.set_default_dtype(torch.float64)
    model, images, masked = made()
    tensors = {name: value.clone() for name, value in model.state_dict().items()}
    tensors |= {"in.images": images, "in.masked": masked} | backbone(model, images)
    scalars = {"seed": SEED}
    for part in (mae, rmae, adamw):
        more, numbers = part(model, images, masked)
        tensors |= more
        scalars |= numbers
    return {name: value.detach().float().contiguous() for name, value in tensors.items()}, scalars


def flat(scalars, prefix=""):
    for name, value in scalars.items():
        if isinstance(value, dict):
            yield from flat(value, f"{prefix}{name}.")
        elif isinstance(value, list):
            yield from ((f"{prefix}{name}.{index}", number) for index, number in enumerate(value))
        else:
            yield f"{prefix}{name}", value


def compare(tensors, scalars):
    """The same names, scalars to 1e-12 of themselves, tensors to a rounding of float32."""
    before, numbers = load_file(HERE / "golden.safetensors"), dict(flat(json.loads((HERE / "golden.json").read_text())))
    assert before.keys() == tensors.keys(), before.keys() ^ tensors.keys()
    assert numbers.keys() == dict(flat(scalars)).keys()
    for name, value in flat(scalars):
        assert abs(value - numbers[name]) <= 1e-12 * abs(value), (name, value, numbers[name])
    equal = 0
    for name, value in tensors.items():
        equal += torch.equal(value, before[name])
        worst = (value - before[name]).abs().max().item()
        assert worst <= 1.2e-7 * value.abs().max().item(), (name, worst)
    print(f"{len(numbers)} scalars agree, and {len(tensors)} tensors to a rounding, {equal} of them in every bit")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="compare with the files there are")
    tensors, scalars = compute()
    if arguments.parse_args().check:
        return compare(tensors, scalars)
    save_file(tensors, HERE / "golden.safetensors")
    (HERE / "golden.json").write_text(json.dumps(scalars, indent=1))


if __name__ == "__main__":
    main()
