"""Makes an FP8 checkpoint of `models/tiny`, laid out as the publisher's: `python3 quantise.py DIR`.

A quantised matrix is stored as e4m3 codes with two scales: `weight_scale`, by which its largest weight becomes the largest
code, and `input_scale`, which does the same for the largest activation that went in while conversations of the training
generator ran through the model (calibration; drawn with a seed of their own, and none is in the test set).

As in the publisher's FP8 checkpoints these are the matrices of experts and shared experts, and the projections of Mamba layers,
but for Mamba layers directly in front of attention. In `models/tiny` all three stand there: `--all-mamba` takes them too.
Everything else stays as it is, in BF16. Keys and values are not quantised.
"""

import argparse
import json
import re
import shutil
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import nn

import dataset
import model as tiny
from export import write_safetensors
from golden import read_weights

SOURCE = Path(__file__).parents[1]
COPIED = ["generation_config.json", "tokenizer.json", "tokenizer_config.json", "chat_template.jinja"]
LARGEST = 448.0
SMALLEST_NORMAL = 2.0 ** -6


def table():
    """The value of each e4m3 code: sign, four bits of exponent with bias 7, three of mantissa; 0x7F and 0xFF are NaN."""
    values = []
    for code in range(256):
        exponent, mantissa = code >> 3 & 15, code & 7
        value = mantissa * 2.0 ** -9 if exponent == 0 else (1 + mantissa / 8) * 2.0 ** (exponent - 7)
        value = float("nan") if code & 0x7F == 0x7F else value
        values.append(-value if code & 0x80 else value)
    return torch.tensor(values)


VALUES = table()


def encode(x):
    """Codes (uint8) of float32 numbers: the nearest, ties to the even code, saturating at ±448."""
    magnitude = x.abs().clamp(max=LARGEST).contiguous()
    bits = magnitude.view(torch.int32)
    rounded = ((bits + 0x7FFFF + ((bits >> 20) & 1)) >> 20) - ((127 - 7) << 3)
    steps = torch.round(magnitude * 512).nan_to_num().int()     # below the smallest normal number codes are steps of 2^-9
    code = torch.where(magnitude < SMALLEST_NORMAL, steps, rounded)
    code = torch.where(torch.isnan(x), torch.full_like(code, 0x7F), code)
    return (code + torch.where(torch.signbit(x), 0x80, 0)).to(torch.uint8)


def decode(codes):
    return VALUES[codes.long()]


class Fp8Linear(nn.Module):
    """A quantised matrix the way a device multiplies it: codes by codes, then both scales."""

    def __init__(self, weight, input_scale):
        super().__init__()
        self.weight_scale = weight.abs().max() / LARGEST
        self.input_scale = input_scale
        self.codes = encode(weight / self.weight_scale)

    def forward(self, x):
        codes = encode(x.float() / self.input_scale)
        return (F.linear(decode(codes), decode(self.codes)) * (self.weight_scale * self.input_scale)).to(x.dtype)

    def tensors(self, name):
        return {name + ".weight": self.codes, name + ".weight_scale": self.weight_scale, name + ".input_scale": self.input_scale}


def chosen(model, all_mamba):
    """Names of the matrices to quantise."""
    pattern = model.config.hybrid_override_pattern
    names = []
    for name, module in model.named_modules():
        if isinstance(module, tiny.Linear) and name != "lm_head":
            layer = int(re.match(r"backbone\.layers\.(\d+)\.", name).group(1))
            in_front = pattern[layer + 1:layer + 2] == "*"
            if pattern[layer] == "E" or pattern[layer] == "M" and (all_mamba or not in_front):
                names.append(name)
    return names


@torch.no_grad()
def calibrate(model, names, conversations):
    """The input scale of each matrix, by name. An expert whose squared ReLU lets nothing through gets 1 for what goes down."""
    largest = {}

    def watch(name):
        def see(module, inputs):
            if inputs[0].numel():
                largest[name] = torch.maximum(largest.get(name, torch.tensor(0.0)), inputs[0].abs().max())
        return see

    hooks = [model.get_submodule(name).register_forward_pre_hook(watch(name)) for name in names]
    for tokens in conversations:
        model.hidden(torch.tensor([tokens]), torch.float32)
    for hook in hooks:
        hook.remove()
    unseen = [name for name in names if name not in largest]
    if unseen:
        raise SystemExit(f"no token came to {', '.join(unseen)}: calibrate on more of them")
    return {name: largest[name] / LARGEST if largest[name] > 0 else torch.tensor(1.0) for name in names}


def quantise(model, input_scales):
    """Puts an Fp8Linear in the place of each named matrix."""
    for name, scale in input_scales.items():
        parent, _, child = name.rpartition(".")
        weight = model.get_submodule(name).weight.detach()
        setattr(model.get_submodule(parent), child, Fp8Linear(weight, scale))
    return model


def tensors_of(model):
    """A quantised model's tensors as they are stored: BF16, but for codes, scales and the routers' correction biases."""
    tensors = {}
    for name, tensor in model.state_dict().items():
        tensors[name] = tensor.float() if name.endswith("correction_bias") else tensor.to(torch.bfloat16)
    for name, module in model.named_modules():
        if isinstance(module, Fp8Linear):
            tensors.update(module.tensors(name))
    return tensors


def kept(model):
    """Names of the matrices, convolutions and routers that were not quantised, as the publisher lists them."""
    kinds = (tiny.Linear, tiny.CausalConvolution, tiny.Router)
    return sorted(name for name, module in model.named_modules() if isinstance(module, kinds))


def write(model, config, folder):
    """Weights and the three places that say how they are stored."""
    folder.mkdir(parents=True, exist_ok=True)
    write_safetensors(tensors_of(model), folder / "model.safetensors", {"format": "pt"})
    ignored = kept(model)
    stated = {"quant_method": "modelopt", "quant_algo": "FP8", "ignore": ignored}
    (folder / "config.json").write_text(json.dumps({**config, "quantization_config": stated}, indent=2) + "\n")
    recipe = {"producer": {"name": "models/tiny/train/quantise.py", "version": "1"},
              "quantization": {"quant_algo": "FP8", "kv_cache_quant_algo": None, "exclude_modules": ignored}}
    (folder / "hf_quant_config.json").write_text(json.dumps(recipe, indent=2) + "\n")


def conversations(seed, total):
    """Token ids of conversations, `total` tokens or a little more."""
    seen = 0
    for tokens, _, _ in dataset.conversations(seed, 0, "long"):
        yield tokens
        seen += len(tokens)
        if seen >= total:
            return


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=Path, help="folder of the new checkpoint")
    parser.add_argument("--all-mamba", action="store_true", help="also Mamba layers in front of attention")
    parser.add_argument("--tokens", type=int, default=100_000, help="to calibrate on (default %(default)s)")
    parser.add_argument("--seed", default="calibration", help="of the conversations (default %(default)s)")
    options = parser.parse_args(arguments)
    config = json.loads((SOURCE / "config.json").read_text())
    model = tiny.Model(tiny.read_config(SOURCE / "config.json")).eval()
    model.load_state_dict(read_weights(SOURCE / "model.safetensors"))
    names = chosen(model, options.all_mamba)
    quantise(model, calibrate(model, names, conversations(options.seed, options.tokens)))
    write(model, config, options.out)
    for file in COPIED:
        shutil.copy(SOURCE / file, options.out / file)
    weights = options.out / "model.safetensors"
    print(f"{weights}: {len(names)} matrices in FP8, {len(kept(model))} modules as they were, {weights.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
