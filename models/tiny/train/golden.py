"""Records what the PyTorch model says after 20 prompts, in float32, for the tests: `python3 golden.py`.

Reads `../model.safetensors` and the held-back test set, writes `../golden/golden.safetensors`; its format and the choice of
prompts are described in `../golden/README.md`.
"""

import gzip
import hashlib
import json
import random
import struct
from pathlib import Path

import torch

import model as tiny
import reference
from export import write_safetensors
from tokenizer import Encoder

FOLDER = Path(__file__).parents[1]
KINDS = ["greetings-and-self", "facts", "arithmetic-thinking", "copy", "key-recall", "memory", "tool-call", "json", "reverse",
         "passphrase"]
LENGTHS = [1, 2, 3, 4, 127, 128, 129, 300, 1000, 2000]
STEPS, MARGIN, DRAWS, SEED = 32, 0.01, 200, 20


def read_weights(path):
    """The tensors of a checkpoint in float32."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:8 + size])
    types = {"BF16": torch.bfloat16, "F32": torch.float32}
    tensors = {}
    for name, entry in header.items():
        if name != "__metadata__":
            begin, end = entry["data_offsets"]
            part = bytearray(data[8 + size + begin:8 + size + end])
            tensors[name] = torch.frombuffer(part, dtype=types[entry["dtype"]]).view(entry["shape"]).float()
    return tensors


def test_set():
    cases = {}
    for line in gzip.decompress((FOLDER / "eval" / "test.jsonl.gz").read_bytes()).decode().splitlines():
        case = json.loads(line)
        cases.setdefault(case["task"], []).append(case)
    return cases


def messages_for_template(case):
    """As a template gets them: arguments as objects."""
    messages = json.loads(json.dumps(case["messages"]))
    for message in messages:
        for call in message.get("tool_calls") or []:
            call["function"]["arguments"] = json.loads(call["function"]["arguments"])
    return messages


def prompt(template, encoder, case):
    text = template.render(messages=messages_for_template(case), tools=case.get("tools") or [],
                           add_generation_prompt=True, enable_thinking=case.get("enable_thinking", False))
    return encoder.encode_template(text)


@torch.no_grad()
def record(model, tokens):
    """Logits after the prompt, 32 tokens by argmax, and by how much each was the first."""
    sequence, continuation, margins, first = list(tokens), [], [], None
    for _ in range(STEPS):
        hidden = model.hidden(torch.tensor([sequence]), torch.float32)[:, -1]
        logits = model.lm_head(hidden)[0]
        first = logits if first is None else first
        best, second = logits.topk(2).values.tolist()
        margins.append(best - second)
        continuation.append(int(logits.argmax()))
        sequence.append(continuation[-1])
        if margins[-1] < MARGIN:
            break
    return first, continuation, margins


def choose(model, draw, name, drawn):
    """The first of many draws whose every step is clear."""
    for _ in range(DRAWS):
        tokens = drawn(draw)
        logits, continuation, margins = record(model, tokens)
        if min(margins) >= MARGIN:
            print(f"{name}: {len(tokens)} tokens, smallest margin {min(margins):.3f}", flush=True)
            return tokens, logits, continuation, margins
    raise SystemExit(f"{name}: none of {DRAWS} draws has margins of at least {MARGIN} in all {STEPS} steps")


def main():
    path = FOLDER / "model.safetensors"
    model = tiny.Model(tiny.read_config(FOLDER / "config.json")).eval()
    model.load_state_dict(read_weights(path))
    template, encoder, draw = reference.template(), Encoder.open(), random.Random(SEED)
    cases = test_set()
    everything = [case for task in sorted(cases) for case in cases[task]]

    def of_kind(kind):
        return lambda draw: prompt(template, encoder, draw.choice(cases[kind]))

    def of_length(length):
        def drawn(draw):
            tokens = prompt(template, encoder, draw.choice(everything))
            while len(tokens) < length:     # the longest prompts are several, one behind the other
                tokens += prompt(template, encoder, draw.choice(everything))
            return tokens[:length] if length > 4 else tokens[-length:]
        return drawn

    chosen = [(kind, of_kind(kind)) for kind in KINDS]
    chosen += [(f"{length} token" + "s" * (length > 1), of_length(length)) for length in LENGTHS]
    rows = [(name, *choose(model, draw, name, drawn)) for name, drawn in chosen]
    tensors = {
        "tokens": torch.tensor([token for _, tokens, *_ in rows for token in tokens], dtype=torch.int32),
        "lengths": torch.tensor([len(tokens) for _, tokens, *_ in rows], dtype=torch.int32),
        "logits": torch.stack([logits for _, _, logits, *_ in rows]),
        "continuations": torch.tensor([continuation for *_, continuation, _ in rows], dtype=torch.int32),
        "margins": torch.tensor([margins for *_, margins in rows]),
    }
    (FOLDER / "golden").mkdir(exist_ok=True)
    write_safetensors(tensors, FOLDER / "golden" / "golden.safetensors", {
        "weights_sha256": hashlib.sha256(path.read_bytes()).hexdigest(), "names": json.dumps([name for name, *_ in rows]),
        "seed": str(SEED), "torch": torch.__version__})


if __name__ == "__main__":
    main()
