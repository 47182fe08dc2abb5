"""The numbers that the tests of losses, CKA, LARS and statistics compare with, computed in float64.

    pip install -r tests/golden/requirements.txt
    python tests/golden/formulas.py            # prints every number and the file whose test has it
    python tests/golden/formulas.py --check    # fails where the file has another number

Inputs are closed forms, so that Rust makes the same ones: `waves(shape, a, b)` is `sin(a * index + b)`, rows first.
Nothing here comes from Umbra; each function is written from the paper that its comment names.
"""

import argparse
import re
import sys
from pathlib import Path

import numpy as np
from scipy import special, stats

ROOT = Path(__file__).resolve().parents[2]


def waves(shape, a, b):
    return np.sin(a * np.arange(np.prod(shape), dtype=np.float64) + b).reshape(shape)


def unit(x):
    return x / np.linalg.norm(x, axis=-1, keepdims=True)


def cross_entropy(logits, labels):
    """Mean of -log softmax(logits) at the labels; logits [n, classes]."""
    return float(np.mean(special.logsumexp(logits, axis=-1) - logits[np.arange(len(logits)), labels]))


def info_nce(q, k, temperature):
    """arXiv 1807.03748: row i of q belongs to row i of k. MoCo v3 (arXiv 2104.02057) multiplies it by 2 * temperature."""
    return cross_entropy(unit(q) @ unit(k).T / temperature, np.arange(len(q)))


def nt_xent(q, k, temperature):
    """SimCLR (arXiv 2002.05709), mean over all 2B views: a view is not compared with itself."""
    z, b = unit(np.concatenate([q, k])), len(q)
    logits = z @ z.T / temperature
    np.fill_diagonal(logits, -np.inf)
    return cross_entropy(logits, (np.arange(2 * b) + b) % (2 * b))


def cosine(q, k):
    return float((unit(q) * unit(k)).sum(-1).mean())


def losses():
    q, k = waves((6, 8), 0.7, 0.3), waves((6, 8), 1.1, 0.9)
    return {
        "InfoNCE": info_nce(q, k, 0.2),
        "InfoNCE of MoCo v3": 2 * 0.2 * info_nce(q, k, 0.2),
        "NT-Xent": nt_xent(q, k, 0.5),
        "BYOL (arXiv 2006.07733)": 2 - 2 * cosine(q, k),
        "SimSiam (arXiv 2011.10566)": -cosine(q, k),
    }


def token_losses():
    """arXiv 2208.04164, Eq. 9 and 10, with each choice of negatives: 3 images of 4 tokens."""
    q, k = waves((3, 4, 8), 0.7, 0.3), waves((3, 4, 8), 1.1, 0.9)
    b, n, d = q.shape
    temperature = 0.2
    place = [info_nce(q[:, i], k[:, i], temperature) for i in range(n)]
    image = [info_nce(q[i], k[i], temperature) for i in range(b)]
    # DenseCL (arXiv 2011.09157): a token's own key beside the mean token of every other image.
    pooled = unit(k.mean(1))
    terms = []
    for i in range(b):
        others = np.delete(pooled, i, 0)
        for token, own in zip(unit(q[i]), unit(k[i])):
            logits = np.concatenate([[token @ own], others @ token]) / temperature
            terms.append(special.logsumexp(logits) - logits[0])
    return {
        "same position": np.mean(place),
        "same image": np.mean(image),
        "all tokens": info_nce(q.reshape(b * n, d), k.reshape(b * n, d), temperature),
        "pooled other images": np.mean(terms),
        "mean tokens": info_nce(q.mean(1), k.mean(1), temperature),
        "BYOL over tokens": 2 - 2 * cosine(q, k),
    }


def dino():
    """DINO (arXiv 2104.14294): two views of student and teacher, temperatures 0.1 and 0.04, momentum of the center 0.9."""
    students = [waves((6, 8), 0.7, 0.3), waves((6, 8), 1.1, 0.9)]
    teachers = [waves((6, 8), 0.33, 0.1), waves((6, 8), 0.9, 0.4)]
    center = 0.1 * waves((1, 8), 0.5, 0.2)
    terms = [
        -(special.softmax((t - center) / 0.04, -1) * special.log_softmax(s / 0.1, -1)).sum(-1).mean()
        for i, t in enumerate(teachers)
        for j, s in enumerate(students)
        if i != j
    ]
    moved = 0.9 * center + 0.1 * np.concatenate(teachers).mean(0, keepdims=True)
    return {"loss": np.mean(terms), **{f"center {i}": moved[0, i] for i in range(3)}}


def patchify(images, p):
    """[B, 3, H, W] -> [B, patches, p * p * 3]: a patch is (row, column, channel), channel fastest."""
    b, c, h, w = images.shape
    x = images.reshape(b, c, h // p, p, w // p, p).transpose(0, 2, 4, 3, 5, 1)
    return x.reshape(b, (h // p) * (w // p), p * p * c)


def mae():
    """MAE (arXiv 2111.06377): the mean over masked patches; targets by their unbiased variance, epsilon 1e-6."""
    target, predicted = patchify(waves((1, 3, 8, 8), 0.37, 0.2), 4), waves((1, 4, 48), 0.21, 0.5)
    masked = np.array([[1.0, 0.0, 1.0, 1.0]])
    normalized = (target - target.mean(-1, keepdims=True)) / np.sqrt(target.var(-1, ddof=1, keepdims=True) + 1e-6)
    loss = lambda t: (((predicted - t) ** 2).mean(-1) * masked).sum() / masked.sum()
    return {"normalized": loss(normalized), "pixels": loss(target)}


def unbiased_hsic(x, y):
    """Song et al. (JMLR 13, 2012), Eq. 5, of linear kernels."""
    n, k, l = len(x), x @ x.T, y @ y.T
    np.fill_diagonal(k, 0)
    np.fill_diagonal(l, 0)
    return ((k * l).sum() + k.sum() * l.sum() / ((n - 1) * (n - 2)) - 2 / (n - 2) * k.sum(0) @ l.sum(0)) / (n * (n - 3))


def cka():
    """Minibatch CKA (arXiv 2010.15327): the three HSIC are summed over batches before they are divided."""
    x, y = waves((8, 5), 0.7, 0.3), waves((8, 7), 1.3, 0.6)
    xy, xx, yy = unbiased_hsic(x, y), unbiased_hsic(x, x), unbiased_hsic(y, y)
    u = waves((16, 5), 0.7, 0.3)
    v = waves((16, 7), 1.3, 0.6) + 0.5 * np.concatenate([u, u[:, :2]], 1)
    pairs = [(u, v), (u, u), (v, v)]
    sums = [sum(unbiased_hsic(a[part], b[part]) for part in (slice(0, 8), slice(8, 16))) for a, b in pairs]
    return {
        "HSIC of X, Y": xy,
        "HSIC of X, X": xx,
        "HSIC of Y, Y": yy,
        "CKA": xy / np.sqrt(xx * yy),
        "CKA of two batches": sums[0] / np.sqrt(sums[1] * sums[2]),
    }


def lars():
    """LARS (arXiv 1708.03888) as in MAE's util/lars.py: two steps, rate 0.5, weight decay 0.01, momentum 0.9."""

    def two_steps(w, g):
        velocity = np.zeros_like(w)
        for _ in range(2):
            change = g
            if w.ndim > 1:
                change = g + 0.01 * w
                change = change * 0.001 * np.linalg.norm(w) / np.linalg.norm(change)
            velocity = 0.9 * velocity + change
            w = w - 0.5 * velocity
        return w

    weight = two_steps(waves((3, 4), 0.7, 0.3), waves((3, 4), 0.9, 0.1))
    bias = two_steps(waves((3,), 0.2, 0.0), waves((3,), 0.8, 0.4))
    return {**{f"weight {i}": weight[0, i] for i in range(4)}, **{f"bias {i}": bias[i] for i in range(3)}}


def positions():
    """MAE's sine and cosine table, width 8, 3 by 3 patches: the half of the columns stands first."""
    omega = 10000.0 ** (-np.arange(2) / 2)
    half = lambda at: np.concatenate([np.sin(at * omega), np.cos(at * omega)])
    right = np.concatenate([half(1), half(0)])
    return {f"row 0, column 1, number {i}": value for i, value in enumerate(right[:4])}


def statistics():
    """What a claim rests on: paired and Welch's t-test, their intervals, Hedges' correction, quantiles."""
    a, b = np.array([83.1, 82.7, 83.4, 82.9]), np.array([82.5, 82.6, 82.8, 82.1])
    d = a - b
    paired, welch = stats.ttest_rel(a, b), stats.ttest_ind(a, b[:3], equal_var=False)
    numbers = {"paired t": paired.statistic, "paired p": paired.pvalue}
    for level in (0.95, 0.9):
        interval = paired.confidence_interval(level)
        numbers |= {f"paired low at {level}": interval.low, f"paired high at {level}": interval.high}
    numbers["above -1"] = stats.ttest_1samp(d, -1, alternative="greater").pvalue
    numbers["below 1"] = stats.ttest_1samp(d, 1, alternative="less").pvalue
    numbers["paired size"] = d.mean() / d.std(ddof=1) * (1 - 3 / (4 * 3 - 1))
    numbers |= {"Welch freedom": welch.df, "Welch t": welch.statistic, "Welch p": welch.pvalue}
    interval = welch.confidence_interval(0.95)
    numbers |= {"Welch low": interval.low, "Welch high": interval.high}
    spread = np.sqrt((a.var(ddof=1) + b[:3].var(ddof=1)) / 2)
    numbers["Welch size"] = (a.mean() - b[:3].mean()) / spread * (1 - 3 / (4 * 5 - 1))
    for freedom in (1, 2, 10, 100, 1000):
        for q in (0.8, 0.95, 0.975, 0.995):
            numbers[f"t quantile {q}, freedom {freedom}"] = stats.t.ppf(q, freedom)
    return numbers


# The file whose tests have the numbers, and what computes them.
FAMILIES = {
    "src/methods/contrast.rs": losses,
    "src/methods/token_contrast.rs": token_losses,
    "src/methods/distill.rs": dino,
    "src/methods/mae.rs": mae,
    "src/metrics/cka.rs": cka,
    "src/train/lars.rs": lars,
    "src/vit/position.rs": positions,
    "src/experiment/tests/statistics.rs": statistics,
}

LITERAL = re.compile(r"-?\d[\d_]*\.\d[\d_]*")


def stands_in(value, literals):
    """Whether one of the literals is the value, to the digits that it has or to 12."""
    digits = lambda text: min(len(text.split(".")[1]), 12)
    return any(abs(float(text) - value) <= 0.51 * 10.0 ** -digits(text) * max(1.0, abs(value)) for text in literals)


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--check", action="store_true", help="fail where a file has another number")
    check = arguments.parse_args().check
    missing = 0
    for path, compute in FAMILIES.items():
        # A number of few digits would agree with anything.
        literals = [text.replace("_", "") for text in LITERAL.findall((ROOT / path).read_text())]
        literals = [text for text in literals if len(text.split(".")[1]) >= 5 or text == "0.01"]
        print(path)
        for name, value in compute().items():
            found = stands_in(float(value), literals)
            missing += not found
            print(f"  {name}: {float(value)!r}{'' if found else '   NOT IN THE FILE'}")
    if check and missing:
        sys.exit(f"{missing} numbers do not stand in the tests")


if __name__ == "__main__":
    main()
