//! Numbers computed with PyTorch and timm in float64: weights, inputs and what must come out.
