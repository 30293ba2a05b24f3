"""Makes a small random FP8 checkpoint and records what PyTorch says of it, for the tests of the engine: `python3 record_fp8.py`.

Writes `engine/src/test/resources/golden/fp8/`: a checkpoint as `quantise.py` writes it, of a model of five layers, and
`golden.safetensors` in the format of `models/tiny/golden/README.md`. Activations of quantised matrices are rounded to e4m3.
"""

import hashlib
import json
import random
import struct
from pathlib import Path
from types import SimpleNamespace

import torch

import model as tiny
import quantise
from export import write_safetensors
from golden import choose

FOLDER = Path(__file__).parents[3] / "engine/src/test/resources/golden/fp8"
TYPES = {"BF16": torch.bfloat16, "F32": torch.float32, "F8_E4M3": torch.uint8}
LENGTHS = [1, 2, 5, 64, 127, 128, 129, 200]
SEED = 3
# Mamba apart from attention and in front of it, an expert layer behind each; widths that no kernel likes.
CONFIG = {
    "architectures": ["NemotronHForCausalLM"], "model_type": "nemotron_h", "torch_dtype": "bfloat16",
    "hybrid_override_pattern": "MEM*E", "num_hidden_layers": 5, "hidden_size": 96, "vocab_size": 80,
    "mamba_num_heads": 4, "mamba_head_dim": 24, "n_groups": 2, "ssm_state_size": 16, "conv_kernel": 4, "chunk_size": 64,
    "use_conv_bias": True, "time_step_min": 0.001, "time_step_max": 0.1, "time_step_floor": 0.0001,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 24, "attention_bias": False,
    "n_routed_experts": 4, "num_experts_per_tok": 2, "n_shared_experts": 1, "moe_intermediate_size": 40,
    "moe_shared_expert_intermediate_size": 72, "n_group": 1, "topk_group": 1, "norm_topk_prob": True,
    "routed_scaling_factor": 2.5, "mlp_hidden_act": "relu2", "mamba_hidden_act": "silu", "layer_norm_epsilon": 1e-5,
    "mamba_proj_bias": False, "mlp_bias": False, "use_bias": False, "tie_word_embeddings": False,
    "max_position_embeddings": 4096, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0,
}


def small_model(seed):
    """Random weights that bf16 holds, with a head that makes tokens differ."""
    torch.manual_seed(seed)
    model = tiny.Model(SimpleNamespace(**CONFIG))
    with torch.no_grad():
        model.lm_head.weight.mul_(4)
        for name, tensor in model.state_dict().items():
            if not name.endswith("correction_bias"):
                tensor.copy_(tensor.bfloat16())
    return model


def read_fp8(path):
    """The tensors of a checkpoint as they are stored, codes as bytes."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name != "__metadata__":
            begin, end = (8 + size + offset for offset in entry["data_offsets"])
            tensors[name] = torch.frombuffer(bytearray(data[begin:end]), dtype=TYPES[entry["dtype"]]).view(entry["shape"])
    return tensors


def main():
    draw = random.Random(SEED)

    def text(length):
        return [draw.randrange(CONFIG["vocab_size"]) for _ in range(length)]

    model = small_model(SEED).eval()
    scales = quantise.calibrate(model, quantise.chosen(model, False), [text(300) for _ in range(4)])
    quantise.write(quantise.quantise(model, scales), CONFIG, FOLDER)
    rows = []
    for length in LENGTHS:
        name = f"{length} token" + "s" * (length > 1)
        rows.append((name, *choose(model, draw, name, lambda draw: text(length))))
    write_safetensors({
        "tokens": torch.tensor([token for _, tokens, *_ in rows for token in tokens], dtype=torch.int32),
        "lengths": torch.tensor([len(tokens) for _, tokens, *_ in rows], dtype=torch.int32),
        "logits": torch.stack([logits for _, _, logits, *_ in rows]),
        "continuations": torch.tensor([continuation for *_, continuation, _ in rows], dtype=torch.int32),
        "margins": torch.tensor([margins for *_, margins in rows]),
    }, FOLDER / "golden.safetensors", {
        "weights_sha256": hashlib.sha256((FOLDER / "model.safetensors").read_bytes()).hexdigest(),
        "names": json.dumps([name for name, *_ in rows]), "seed": str(SEED), "torch": torch.__version__})


if __name__ == "__main__":
    main()
