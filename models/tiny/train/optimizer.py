"""Muon for the matrices of the layers, AdamW for everything else, as one optimizer with one state dict.

Muon: Jordan et al., 2024: momentum whose matrix is brought near to an orthogonal one by a Newton-Schulz iteration, so
that every direction of a weight learns at the same pace.
"""

import math

import torch


def orthogonal(g, steps=5):
    """The nearest matrices of singular values near 1, for a stack [K, rows, columns]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g.to(torch.bfloat16)
    tall = x.shape[-2] > x.shape[-1]
    if tall:
        x = x.transpose(-1, -2)
    x = x / (x.float().norm(dim=(-2, -1), keepdim=True) + 1e-7).to(x.dtype)
    for _ in range(steps):
        gram = x @ x.transpose(-1, -2)
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.transpose(-1, -2) if tall else x).float()


class Muon(torch.optim.Optimizer):
    """`lr` of the groups is set by the trainer before each step; groups have kind "matrix" or "other"."""

    def __init__(self, model, matrix_rate, other_rate, decay=0.01):
        matrices, others = [], []
        for name, parameter in model.named_parameters():
            inner = ".mixer." in name and parameter.ndim == 2 and ".gate." not in name
            (matrices if inner else others).append(parameter)
        super().__init__([{"params": matrices, "kind": "matrix", "peak": matrix_rate, "lr": 0.0},
                          {"params": others, "kind": "other", "peak": other_rate, "lr": 0.0}], {"decay": decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            if group["kind"] == "matrix":
                self.step_matrices(group)
            else:
                self.step_others(group)

    def step_matrices(self, group):
        shapes = {}
        for p in group["params"]:
            if p.grad is None:
                continue
            momentum = self.state[p].setdefault("momentum", torch.zeros_like(p))
            momentum.lerp_(p.grad, 0.05)
            shapes.setdefault(p.shape, []).append((p, p.grad.lerp(momentum, 0.95)))      # Nesterov's
        for shape, pairs in shapes.items():
            updates = orthogonal(torch.stack([update for _, update in pairs]))
            scale = group["lr"] * math.sqrt(max(1, shape[0] / shape[1]))
            for (p, _), update in zip(pairs, updates):
                p.mul_(1 - group["lr"] * group["decay"]).add_(update, alpha=-scale)

    def step_others(self, group, betas=(0.9, 0.98), epsilon=1e-10):
        for p in group["params"]:
            if p.grad is None:
                continue
            state = self.state[p]
            if not state:
                state.update(step=0, mean=torch.zeros_like(p), square=torch.zeros_like(p))
            state["step"] += 1
            state["mean"].lerp_(p.grad, 1 - betas[0])
            state["square"].lerp_(p.grad.square(), 1 - betas[1])
            mean = state["mean"] / (1 - betas[0] ** state["step"])
            square = state["square"] / (1 - betas[1] ** state["step"])
            p.addcdiv_(mean, square.sqrt().add_(epsilon), value=-group["lr"])
