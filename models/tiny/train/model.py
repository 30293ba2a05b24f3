"""The forward pass of a `nemotron_h` model: Mamba-2, attention without positions, mixture of experts.

Plain PyTorch, for training and for golden outputs. Module names give the publisher's tensor names
(`backbone.layers.3.mixer.in_proj.weight`), so a state dict is a checkpoint. B = conversations in a batch,
L = padded length, D = hidden size. Padding stands behind a conversation, where a causal model never looks.

Matrix products run in `dtype` (bfloat16 to train, float32 for golden outputs); norms, the router, the scan's
decays and the residual stream are always float32.
"""

import json
import math
from pathlib import Path
from types import SimpleNamespace

import torch
import torch.nn.functional as F
from torch import nn

import fused


def read_config(path):
    """The fields of a `config.json` as attributes."""
    return SimpleNamespace(**json.loads(Path(path).read_text()))


class Linear(nn.Module):
    """y = x Wᵀ with W kept in float32 and multiplied in the type of x."""

    def __init__(self, inputs, outputs, scale=1.0):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(outputs, inputs) * (scale / math.sqrt(inputs)))

    def forward(self, x):
        return F.linear(x, self.weight.to(x.dtype))


class RmsNorm(nn.Module):
    """Root-mean-square norm over groups of `width` neighbours, times a weight per channel; float32 in and out."""

    fused = False

    def __init__(self, channels, width, epsilon):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(channels))
        self.width, self.epsilon = width, epsilon

    def forward(self, x):
        if self.fused and x.shape[-1] == self.width:
            return fused.Norm.apply(x, self.weight, self.epsilon)
        groups = x.unflatten(-1, (-1, self.width))
        scale = torch.rsqrt(groups.square().mean(-1, keepdim=True) + self.epsilon)
        return (groups * scale).flatten(-2) * self.weight


class CausalConvolution(nn.Module):
    """Depthwise convolution over the last `kernel` tokens; weight [..., kernel - 1] meets the current one."""

    def __init__(self, channels, kernel):
        super().__init__()
        bound = 1 / math.sqrt(kernel)
        self.weight = nn.Parameter(torch.empty(channels, 1, kernel).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x):
        kernel = self.weight.shape[-1]
        length = x.shape[1]
        padded = F.pad(x, (0, 0, kernel - 1, 0))
        weight = self.weight.to(x.dtype)
        y = self.bias.to(x.dtype) + padded[:, :length] * weight[:, 0, 0]
        for tap in range(1, kernel):
            y = y + padded[:, tap:tap + length] * weight[:, 0, tap]
        return y


class Mamba(nn.Module):
    """Mamba-2: one projection to gate, convolution channels and time steps; selective scan; gated norm."""

    fused = False

    def __init__(self, c):
        super().__init__()
        self.heads, self.head_dim = c.mamba_num_heads, c.mamba_head_dim
        self.groups, self.state, self.chunk = c.n_groups, c.ssm_state_size, c.chunk_size
        self.inner = self.heads * self.head_dim
        channels = self.inner + 2 * self.groups * self.state
        self.in_proj = Linear(c.hidden_size, self.inner + channels + self.heads)
        self.conv1d = CausalConvolution(channels, c.conv_kernel)
        step = torch.exp(torch.empty(self.heads).uniform_(math.log(c.time_step_min), math.log(c.time_step_max)))
        step = step.clamp(min=c.time_step_floor)
        self.dt_bias = nn.Parameter(step + torch.log(-torch.expm1(-step)))  # softplus gives `step` back
        self.A_log = nn.Parameter(torch.log(torch.empty(self.heads).uniform_(1, 16)))
        self.D = nn.Parameter(torch.ones(self.heads))
        self.norm = RmsNorm(self.inner, self.inner // self.groups, c.layer_norm_epsilon)
        self.out_proj = Linear(self.inner, c.hidden_size, 1 / math.sqrt(c.num_hidden_layers))

    def forward(self, x):
        if self.fused and x.dtype == torch.bfloat16:
            return fused.mamba(self, x)
        gate, channels, step = self.in_proj(x).split(
            [self.inner, self.inner + 2 * self.groups * self.state, self.heads], -1)
        u, key, query = F.silu(self.conv1d(channels)).split(
            [self.inner, self.groups * self.state, self.groups * self.state], -1)
        step = F.softplus(step.float() + self.dt_bias)
        u = u.unflatten(-1, (self.heads, self.head_dim))
        y = scan(u, step, -torch.exp(self.A_log), key.unflatten(-1, (self.groups, self.state)),
                 query.unflatten(-1, (self.groups, self.state)), self.chunk)
        y = (y + self.D[:, None] * u.float()).flatten(-2)
        return self.out_proj(self.norm(y * F.silu(gate.float())).to(x.dtype))


def scan(u, step, rate, key, query, chunk):
    """The recurrence S = exp(step·rate) S + step·u⊗key, y = S·query, in chunks that are matrix products.

    u [B, L, heads, P], step [B, L, heads] float32, rate [heads] < 0, key and query [B, L, groups, N];
    L is a multiple of `chunk`. Returns y [B, L, heads, P] in the type of step.
    """
    batch, length, heads, width = u.shape
    groups, state = key.shape[2:]
    chunks, shared = length // chunk, heads // groups
    # [batch·chunks, groups, shared, ...]: the heads of a group share their keys and queries
    u = u.reshape(batch * chunks, chunk, groups, shared, width).permute(0, 2, 3, 1, 4)
    step = step.reshape(batch * chunks, chunk, groups, shared).permute(0, 2, 3, 1)
    key = key.reshape(batch * chunks, chunk, groups, state).transpose(1, 2)
    query = query.reshape(batch * chunks, chunk, groups, state).transpose(1, 2)
    decay = torch.cumsum(step * rate.view(groups, shared, 1), -1)                 # [.., q], ≤ 0 and falling

    # inside a chunk: attention whose scores fade with the decay
    scores = query @ key.transpose(-1, -2)                                        # [.., groups, q, k]
    past = torch.ones(chunk, chunk, dtype=torch.bool, device=u.device).tril()
    fade = (decay.unsqueeze(-1) - decay.unsqueeze(-2)).masked_fill(~past, -math.inf).exp()
    weights = scores.unsqueeze(2) * fade.to(u.dtype)
    scaled = u * step.unsqueeze(-1).to(u.dtype)
    y = (weights @ scaled).to(step.dtype)

    # between chunks: what each chunk adds to the state, carried on to all later ones
    rest = (decay[..., -1:] - decay).exp().unsqueeze(-1).to(u.dtype)
    added = ((scaled * rest).transpose(-1, -2).reshape(batch * chunks, groups, shared * width, chunk) @ key).to(step.dtype)
    added = added.view(batch, chunks, heads, width * state).transpose(1, 2)       # [B, heads, chunks, P·N]
    total = decay[..., -1].reshape(batch, chunks, heads).transpose(1, 2).cumsum(-1)
    before = torch.ones(chunks, chunks, dtype=torch.bool, device=u.device).tril(-1)
    shifted = F.pad(total, (1, -1))                                               # up to the end of the chunk before
    carry = (shifted.unsqueeze(-1) - total.unsqueeze(-2)).masked_fill(~before, -math.inf).exp()
    incoming = (carry @ added).transpose(1, 2).reshape(batch * chunks, groups, shared * width, state)
    late = (query @ incoming.to(u.dtype).transpose(-1, -2)).unflatten(-1, (shared, width)).transpose(2, 3)
    y = y + late.to(step.dtype) * decay.exp().unsqueeze(-1)
    return y.permute(0, 3, 1, 2, 4).reshape(batch, length, heads, width)


class Attention(nn.Module):
    """Grouped-query attention, causal, without any positions."""

    def __init__(self, c):
        super().__init__()
        self.heads, self.kv_heads, self.head_dim = c.num_attention_heads, c.num_key_value_heads, c.head_dim
        self.q_proj = Linear(c.hidden_size, self.heads * self.head_dim)
        self.k_proj = Linear(c.hidden_size, self.kv_heads * self.head_dim)
        self.v_proj = Linear(c.hidden_size, self.kv_heads * self.head_dim)
        self.o_proj = Linear(self.heads * self.head_dim, c.hidden_size, 1 / math.sqrt(c.num_hidden_layers))

    def forward(self, x):
        batch, length, _ = x.shape
        shared = self.heads // self.kv_heads
        q = self.q_proj(x).view(batch, length, self.kv_heads, shared, self.head_dim).permute(0, 2, 3, 1, 4)
        k = self.k_proj(x).view(batch, length, self.kv_heads, 1, self.head_dim).permute(0, 2, 3, 4, 1)
        v = self.v_proj(x).view(batch, length, self.kv_heads, 1, self.head_dim).permute(0, 2, 3, 1, 4)
        q = q * (1 / math.sqrt(self.head_dim))
        rows = []
        for begin in range(0, length, 256):                                       # no query looks at later keys
            end = min(begin + 256, length)
            scores = q[..., begin:end, :] @ k[..., :end].expand(-1, -1, shared, -1, -1)
            future = torch.ones(end - begin, end, dtype=torch.bool, device=x.device).triu(begin + 1)
            chances = scores.float().masked_fill(future, -math.inf).softmax(-1).to(x.dtype)
            rows.append(chances @ v[..., :end, :].expand(-1, -1, shared, -1, -1))
        y = torch.cat(rows, 3).permute(0, 3, 1, 2, 4).reshape(batch, length, -1)
        return self.o_proj(y)


class Mlp(nn.Module):
    """down(relu(up x)²)"""

    def __init__(self, hidden, inner, scale):
        super().__init__()
        self.up_proj = Linear(hidden, inner)
        self.down_proj = Linear(inner, hidden, scale)

    def forward(self, x):
        return self.down_proj(F.relu(self.up_proj(x)).square())


class Router(nn.Module):
    """Sigmoid scores; the correction bias only helps to choose, and is moved by load, not by gradients."""

    def __init__(self, c):
        super().__init__()
        self.weight = nn.Parameter(torch.randn(c.n_routed_experts, c.hidden_size) / math.sqrt(c.hidden_size))
        self.register_buffer("e_score_correction_bias", torch.zeros(c.n_routed_experts))
        self.register_buffer("load", torch.zeros(c.n_routed_experts), persistent=False)
        self.top, self.factor = c.num_experts_per_tok, c.routed_scaling_factor

    def forward(self, x):
        scores = torch.sigmoid(F.linear(x, self.weight))
        chosen = (scores + self.e_score_correction_bias).topk(self.top, -1).indices
        shares = scores.gather(-1, chosen)
        shares = shares / (shares.sum(-1, keepdim=True) + 1e-20) * self.factor
        if self.training:
            self.load += torch.bincount(chosen.flatten(), minlength=len(self.load))
        return chosen, shares


class Experts(nn.Module):
    """Mixture of experts: the chosen ones by their shares, and the shared one always."""

    def __init__(self, c):
        super().__init__()
        scale = 1 / math.sqrt(c.num_hidden_layers)
        self.gate = Router(c)
        self.experts = nn.ModuleList(
            Mlp(c.hidden_size, c.moe_intermediate_size, scale) for _ in range(c.n_routed_experts))
        self.shared_experts = Mlp(c.hidden_size, c.moe_shared_expert_intermediate_size, scale)

    def forward(self, x, exact):
        """x in the type of products and `exact` the same in float32, which the router reads."""
        rows, exact = x.flatten(0, 1), exact.flatten(0, 1)
        chosen, shares = self.gate(exact)
        order = chosen.flatten().argsort()                                        # by expert
        tokens = order // self.gate.top
        counts = torch.bincount(chosen.flatten(), minlength=len(self.experts)).tolist()
        parts = rows[tokens].split(counts)
        routed = torch.cat([expert(part) for expert, part in zip(self.experts, parts)])
        routed = routed.float() * shares.flatten()[order].unsqueeze(-1)
        routed = torch.zeros_like(exact).index_add(0, tokens, routed)
        return (self.shared_experts(rows).float() + routed).view_as(x)


MIXERS = {"M": Mamba, "*": Attention, "E": Experts}


class Layer(nn.Module):
    def __init__(self, kind, c):
        super().__init__()
        self.kind = kind
        self.norm = RmsNorm(c.hidden_size, c.hidden_size, c.layer_norm_epsilon)
        self.mixer = MIXERS[kind](c)

    def forward(self, x, dtype):
        normed = self.norm(x)
        mixed = self.mixer(normed.to(dtype), normed) if self.kind == "E" else self.mixer(normed.to(dtype))
        return x + mixed.float()


class Backbone(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.embeddings = nn.Embedding(c.vocab_size, c.hidden_size)
        self.layers = nn.ModuleList(Layer(kind, c) for kind in c.hybrid_override_pattern)
        self.norm_f = RmsNorm(c.hidden_size, c.hidden_size, c.layer_norm_epsilon)

    def forward(self, tokens, dtype):
        x = self.embeddings(tokens)
        for layer in self.layers:
            x = layer(x, dtype)
        return self.norm_f(x)


class Model(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.backbone = Backbone(config)
        self.lm_head = Linear(config.hidden_size, config.vocab_size)

    def hidden(self, tokens, dtype):
        """Final hidden states [B, L, D], float32, of tokens [B, L]; any L: padded to whole chunks inside."""
        length = tokens.shape[1]
        padded = F.pad(tokens, (0, -length % self.config.chunk_size))
        return self.backbone(padded, dtype)[:, :length]

    def forward(self, tokens, dtype=torch.float32):
        """Logits [B, L, vocabulary] in float32."""
        return self.lm_head(self.hidden(tokens, dtype).to(dtype)).float()


def routers(model):
    return [module for module in model.modules() if isinstance(module, Router)]


def use_fused(model):
    """Lets the routines of fused.py stand in, for training on a CPU."""
    for module in model.modules():
        if isinstance(module, (Mamba, RmsNorm)):
            module.fused = True
