"""Fused CPU routines for training (fused.cpp) as autograd functions: the same values as model.py, several times faster.

Used only on a CPU that has AVX-512, with bfloat16 products, and only for the shapes the routines are written for;
elsewhere the plain code of model.py runs.
"""

import ctypes
import hashlib
import subprocess
import tempfile
from pathlib import Path

import torch

SOURCE = Path(__file__).with_name("fused.cpp")
HEAD_DIM, STATE, TAPS, CHUNK = 64, 64, 4, 64


class MambaStruct(ctypes.Structure):
    _fields_ = ([(name, ctypes.c_int64) for name in ("batch", "length", "heads", "groups")]
                + [(name, ctypes.c_void_p) for name in ("projected", "conv_weight", "conv_bias", "dt_bias", "rate",
                                                        "skip", "norm_weight")]
                + [("epsilon", ctypes.c_float), ("scanned", ctypes.c_void_p), ("states", ctypes.c_void_p)])


class GradientsStruct(ctypes.Structure):
    _fields_ = [(name, ctypes.c_void_p) for name in ("out", "projected", "conv_weight", "conv_bias", "dt_bias", "rate",
                                                     "skip", "norm_weight")]


def load():
    """Builds and loads the library; None where the CPU or the compiler cannot."""
    flags = Path("/proc/cpuinfo")
    if not flags.exists() or "avx512f" not in flags.read_text():
        return None
    digest = hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]
    library = Path(tempfile.gettempdir()) / f"sidewinder-fused-{digest}.so"
    if not library.exists():
        unfinished = library.with_suffix(f".{id(library)}")
        command = ["g++", "-O3", "-march=native", "-mprefer-vector-width=512", "-ffast-math", "-fopenmp", "-shared",
                   "-fPIC", "-std=c++17", str(SOURCE), "-o", str(unfinished)]
        if subprocess.run(command).returncode != 0:
            return None
        unfinished.rename(library)
    return ctypes.CDLL(str(library))


LIBRARY = load()


def pointers(*tensors):
    for tensor in tensors:
        assert tensor.is_contiguous()
    return [tensor.data_ptr() for tensor in tensors]


class MambaInner(torch.autograd.Function):
    """From the rows of in_proj [B, L, width] bfloat16 to the rows of out_proj [B, L, inner] bfloat16."""

    @staticmethod
    def forward(context, projected, conv_weight, conv_bias, dt_bias, rate, skip, norm_weight, groups, epsilon):
        batch, length, _ = projected.shape
        heads = len(dt_bias)
        inner = heads * HEAD_DIM
        projected = projected.contiguous()
        scanned = torch.empty(batch, length, inner)
        states = torch.empty(batch, length // CHUNK, heads, HEAD_DIM, STATE)
        out = torch.empty(batch, length, inner, dtype=torch.bfloat16)
        given = (projected, conv_weight, conv_bias, dt_bias, rate, skip, norm_weight)
        layer = MambaStruct(batch, length, heads, groups, *pointers(*given), epsilon, *pointers(scanned, states))
        LIBRARY.mamba_forward(ctypes.byref(layer), ctypes.c_void_p(out.data_ptr()))
        context.save_for_backward(*given, scanned, states)
        context.layer = layer
        return out

    @staticmethod
    def backward(context, d_out):
        given = context.saved_tensors[:7]
        d_out = d_out.contiguous()
        gradients = [torch.empty_like(tensor) for tensor in given]
        LIBRARY.mamba_backward(ctypes.byref(context.layer),
                               ctypes.byref(GradientsStruct(*pointers(d_out, *gradients))))
        return (*gradients, None, None)


class Norm(torch.autograd.Function):
    """RMS norm of the rows of x, float32."""

    @staticmethod
    def forward(context, x, weight, epsilon):
        x = x.contiguous()
        y = torch.empty_like(x)
        width = x.shape[-1]
        LIBRARY.norm_forward(ctypes.c_int64(x.numel() // width), ctypes.c_int64(width), *map(ctypes.c_void_p, pointers(x, weight)),
                             ctypes.c_float(epsilon), ctypes.c_void_p(y.data_ptr()))
        context.save_for_backward(x, weight)
        context.epsilon = epsilon
        return y

    @staticmethod
    def backward(context, dy):
        x, weight = context.saved_tensors
        dy = dy.contiguous()
        dx, d_weight = torch.empty_like(x), torch.empty_like(weight)
        width = x.shape[-1]
        LIBRARY.norm_backward(ctypes.c_int64(x.numel() // width), ctypes.c_int64(width), *map(ctypes.c_void_p, pointers(x, weight)),
                              ctypes.c_float(context.epsilon), *map(ctypes.c_void_p, pointers(dy, dx, d_weight)))
        return dx, d_weight, None


def mamba(layer, x):
    """Mamba.forward of model.py, for x in bfloat16."""
    inner = MambaInner.apply(layer.in_proj(x), layer.conv1d.weight, layer.conv1d.bias, layer.dt_bias,
                             -torch.exp(layer.A_log), layer.D, layer.norm.weight, layer.groups, layer.norm.epsilon)
    return layer.out_proj(inner)


def fits(config):
    return (LIBRARY is not None and config.mamba_head_dim == HEAD_DIM and config.ssm_state_size == STATE
            and config.conv_kernel == TAPS and config.chunk_size == CHUNK)
