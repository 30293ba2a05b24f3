"""Writes the weights of a training run as `model.safetensors`: `python3 export.py RUN/state.pt`.

BF16 throughout, but for the routers' correction biases (F32), in the publisher's names and shapes.
"""

import argparse
import json
import struct
from pathlib import Path

import torch

import model as tiny

HERE = Path(__file__).parent
# PyTorch 1.13 knows no FP8: codes are bytes to it, and nothing else of ours is.
TYPES = {torch.bfloat16: "BF16", torch.float32: "F32", torch.int32: "I32", torch.uint8: "F8_E4M3"}


def write_safetensors(tensors, path, metadata):
    """Tensors by name, in the order of their names; the header padded so that numbers begin at a multiple of 8."""
    header, offset = {"__metadata__": metadata}, 0
    for name, tensor in sorted(tensors.items()):
        size = tensor.numel() * tensor.element_size()
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": list(tensor.shape), "data_offsets": [offset, offset + size]}
        offset += size
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    unfinished = path.with_suffix(".tmp")
    with unfinished.open("wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for _, tensor in sorted(tensors.items()):
            file.write(tensor.contiguous().view(-1).view(torch.uint8).numpy().tobytes())
    unfinished.rename(path)


def checkpoint(state):
    """The tensors of a training state as they are stored."""
    return {name: tensor.float() if name.endswith("correction_bias") else tensor.to(torch.bfloat16)
            for name, tensor in state["model"].items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path)
    parser.add_argument("--out", type=Path, default=HERE.parent, help="folder of the checkpoint")
    options = parser.parse_args()
    state = torch.load(options.state, map_location="cpu")
    tensors = checkpoint(state)
    expected = tiny.Model(tiny.read_config(HERE.parent / "config.json")).state_dict()
    if {name: tensor.shape for name, tensor in tensors.items()} != {name: t.shape for name, t in expected.items()}:
        raise SystemExit(f"{options.state}: not a run of models/tiny/config.json")
    options.out.mkdir(parents=True, exist_ok=True)
    write_safetensors(tensors, options.out / "model.safetensors", {"format": "pt"})
    position = state["position"]
    print(f"{options.out / 'model.safetensors'}: {sum(t.numel() for t in tensors.values()):,} parameters, step "
          f"{position['step']}, {position['tokens'] / 1e6:.1f} M tokens")


if __name__ == "__main__":
    main()
