"""Trains models/tiny: `python3 train.py --out DIR`. Seeded; stop it at any time and start it again to go on.

The folder gets `state.pt` (weights, optimizer, position; every few minutes), `log.jsonl` (a line every 20 steps) and
the data it makes on the way. On a GPU the same plain code of model.py runs in bfloat16; on a CPU with AVX-512 the
fused routines of fused.py stand in for its slow parts.
"""

import os
import sys

# Big blocks stay with the process: giving them back and getting them anew costs more than the arithmetic.
KEEP = {"MALLOC_MMAP_THRESHOLD_": str(1 << 34), "MALLOC_TRIM_THRESHOLD_": str(1 << 34),
        "MALLOC_TOP_PAD_": str(1 << 28), "OMP_NUM_THREADS": "1"}
if __name__ == "__main__" and any(name not in os.environ for name in KEEP):
    os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | KEEP)

import argparse
import functools
import json
import random
import signal
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import torch
import torch.multiprocessing
import torch.nn.functional as F
from torch import distributed

import dataset
import fused
import model as tiny
import optimizer

HERE = Path(__file__).parent
ANSWER = 1


def shard(options, index, seed=None):
    """A shard of training data, from the run's folder or made and kept there."""
    seed = options.seed if seed is None else seed
    path = options.out / f"{options.phase}-{seed}-{index:04d}.npz"
    if not path.exists():
        unfinished = path.with_suffix(".tmp.npz")
        dataset.make_shard(seed, index, options.shard_tokens, options.phase).save(unfinished)
        unfinished.rename(path)
    return dataset.Shard.load(path)


def batches(data, budget, chunk, seed):
    """Conversations of about the same length together: (tokens [B, L] int64, trained [B, L] bool), in random order.

    B · L is at most `budget` (or one conversation); L is a multiple of `chunk`.
    """
    lengths = np.diff(data.starts)
    draw = random.Random(seed)
    order = sorted(range(len(lengths)), key=lambda i: (-(-int(lengths[i]) // chunk), draw.random()))
    groups, group = [], []
    for i in order:
        padded = -(-int(lengths[i]) // chunk) * chunk
        if group and padded * (len(group) + 1) > budget:
            groups.append(group)
            group = []
        group.append(i)
    groups.append(group)
    draw.shuffle(groups)
    for group in groups:
        longest = -(-int(max(lengths[i] for i in group)) // chunk) * chunk
        tokens = np.zeros((len(group), longest), np.int64)
        trained = np.zeros((len(group), longest), bool)
        for row, i in enumerate(group):
            begin, end = data.starts[i], data.starts[i + 1]
            tokens[row, :end - begin] = data.tokens[begin:end]
            trained[row, :end - begin] = data.weights[begin:end] == ANSWER
        yield torch.from_numpy(tokens), torch.from_numpy(trained)


def steps(data, options, chunk, seed):
    """Lists of batches that make one step together, each of about `options.batch` tokens."""
    todo = []
    for batch in batches(data, options.micro, chunk, seed):
        todo.append(batch)
        if sum(tokens.numel() for tokens, _ in todo) >= 0.9 * options.batch:
            yield todo
            todo = []


def losses(model, tokens, trained, dtype):
    """Cross-entropy of every trained token, in order, and whether the model's first choice was right."""
    hidden = model.hidden(tokens, dtype)[:, :-1]
    targets = tokens[:, 1:]
    kept = trained[:, 1:]
    logits = model.lm_head(hidden[kept].to(dtype)).float()
    return F.cross_entropy(logits, targets[kept], reduction="none"), logits.argmax(-1) == targets[kept]


def set_rates(optimizer, tokens, options):
    """Warm up over the first 1 %, hold, and fall to zero over the last part."""
    done = tokens / options.tokens
    factor = min(1.0, done / 0.01 + 0.01, max(0.0, (1 - done) / options.decay))
    for group in optimizer.param_groups:
        group["lr"] = group["peak"] * factor
    return factor


def balance(model, speed):
    """Moves each router's correction bias towards an even load (Wang et al., 2024), and forgets the load."""
    for router in tiny.routers(model):
        router.e_score_correction_bias += speed * torch.sign(router.load.mean() - router.load)
        router.load.zero_()


@torch.no_grad()
def validate(model, options, dtype, device):
    """Loss, token accuracy and share of answers right in every token, on data of another seed."""
    model.eval()
    total, right, count, whole, answers = 0.0, 0, 0, 0, 0
    for number, (tokens, trained) in enumerate(batches(shard(options, 0, options.seed + 1000),
                                                       options.micro, model.config.chunk_size, 0)):
        if number == 24:
            break
        each, hit = losses(model, tokens.to(device), trained.to(device), dtype)
        total, right, count = total + each.sum().item(), right + hit.sum().item(), count + len(each)
        where = trained[:, 1:].flatten().int()
        begins = F.pad(where, (1, 0)).diff() == 1
        answer = (begins.cumsum(0) - 1)[where.bool()]
        wrong = torch.zeros(int(begins.sum()), dtype=torch.int64).index_add(0, answer, (~hit.cpu()).long())
        whole, answers = whole + int((wrong == 0).sum()), answers + len(wrong)
    model.train()
    return {"loss": round(total / count, 4), "tokens": round(right / count, 4), "answers": round(whole / answers, 4)}


def save(path, **state):
    unfinished = path.with_suffix(".tmp")
    torch.save(state, unfinished)
    unfinished.rename(path)


def add_up(tensors):
    """Sums each tensor over all workers, in place."""
    if distributed.get_world_size() > 1:
        flat = torch.cat([tensor.flatten() for tensor in tensors])
        distributed.all_reduce(flat)
        for tensor, part in zip(tensors, flat.split([tensor.numel() for tensor in tensors])):
            tensor.copy_(part.view_as(tensor))


def train(rank, options):
    """One worker of `options.workers`: all hold the same weights and see the same batches, each works on its share."""
    distributed.init_process_group("gloo", store=distributed.FileStore(str(options.meeting), options.workers),
                                   rank=rank, world_size=options.workers)
    torch.manual_seed(options.seed)
    torch.set_flush_denormal(True)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if device == "cpu":
        torch.set_num_threads(1)
    dtype = torch.bfloat16
    model = tiny.Model(tiny.read_config(HERE.parent / "config.json")).to(device)
    if device == "cpu" and fused.fits(model.config):
        tiny.use_fused(model)
    learner = optimizer.Muon(model, options.matrix_rate, options.other_rate)
    position = {"step": 0, "tokens": 0, "trained": 0, "shard": 0, "seconds": 0.0}
    checkpoint = options.out / "state.pt"
    if checkpoint.exists():
        state = torch.load(checkpoint, map_location=device)
        model.load_state_dict(state["model"])
        learner.load_state_dict(state["optimizer"])
        position = state["position"]
        for group, peak in zip(learner.param_groups, (options.matrix_rate, options.other_rate)):
            group["peak"] = peak
        print(f"going on at step {position['step']}, {position['tokens'] / 1e6:.1f} M tokens", flush=True)
    log = (options.out / "log.jsonl").open("a") if rank == 0 else None
    started, saved, begun = time.time(), time.time(), position["seconds"]
    model.train()

    while position["tokens"] < options.tokens and position["shard"] != options.stop_shard:
        index = position["shard"] % options.shards
        # each worker makes its share of the shards to come
        for ahead in range(options.workers):
            if ahead == rank:
                shard(options, (index + ahead) % options.shards)
        distributed.barrier()
        data = shard(options, index)
        window = []
        for todo in steps(data, options, model.config.chunk_size, options.seed * 1_000_003 + position["shard"]):
            factor = set_rates(learner, position["tokens"], options)
            count = sum(int(trained[:, 1:].sum()) for _, trained in todo)
            learner.zero_grad(set_to_none=False)
            for tokens, trained in todo[rank::options.workers]:
                each, hit = losses(model, tokens.to(device), trained.to(device), dtype)
                (each.sum() / count).backward()
                window.append((each.sum().item(), hit.sum().item(), len(each)))
            add_up([p.grad for p in model.parameters()] + [router.load for router in tiny.routers(model)])
            norm = float(torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0))
            if not np.isfinite(norm):
                raise SystemExit(f"step {position['step']}: the gradient is not finite")
            learner.step()
            balance(model, 0.002 * factor)
            position["step"] += 1
            position["tokens"] += sum(tokens.numel() for tokens, _ in todo)
            position["trained"] += count
            position["seconds"] = begun + time.time() - started
            if rank == 0 and position["step"] % 20 == 0 and window:
                loss, hits, seen = (sum(column) for column in zip(*window))
                window = []
                line = {"step": position["step"], "tokens": position["tokens"], "trained": position["trained"],
                        "loss": round(loss / seen, 4), "right": round(hits / seen, 4), "norm": round(norm, 3),
                        "rate": round(factor, 3), "seconds": round(position["seconds"])}
                if position["step"] % options.validate == 0:
                    line["validation"] = validate(model, options, dtype, device)
                print(json.dumps(line), file=log, flush=True)
                print(line, flush=True)
        position["shard"] += 1
        if rank == 0 and time.time() - saved > 60 * options.save_minutes:
            save(checkpoint, model=model.state_dict(), optimizer=learner.state_dict(), position=position)
            saved = time.time()
    if rank == 0:
        save(checkpoint, model=model.state_dict(), optimizer=learner.state_dict(), position=position)


def main(arguments=None):
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, required=True, help="folder of the run")
    parser.add_argument("--tokens", type=float, default=300e6, help="length of the run, padding included")
    parser.add_argument("--decay", type=float, default=0.3, help="last part of the run in which the rate falls")
    parser.add_argument("--batch", type=int, default=16384, help="tokens of a step, padding included")
    parser.add_argument("--micro", type=int, default=8192, help="tokens of a forward pass, padding included")
    parser.add_argument("--shards", type=int, default=200, help="shards of data before they come again")
    parser.add_argument("--stop-shard", type=int, help="stop and save before this shard, to go on later")
    parser.add_argument("--shard-tokens", type=int, default=1_000_000)
    parser.add_argument("--phase", default="base", help="mix of lengths: base or long")
    parser.add_argument("--matrix-rate", type=float, default=0.02)
    parser.add_argument("--other-rate", type=float, default=0.003)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--workers", type=int, default=1 if torch.cuda.is_available() else os.cpu_count(),
                        help="processes that share the work: one on a GPU, else one per core")
    parser.add_argument("--makers", type=int, default=os.cpu_count() if torch.cuda.is_available() else 0,
                        help="processes that make all data before the start; 0: it is made on the way")
    parser.add_argument("--validate", type=int, default=200, help="steps between two validations")
    parser.add_argument("--save-minutes", type=float, default=4)
    run(parser.parse_args(arguments))


def run(options):
    options.out.mkdir(parents=True, exist_ok=True)
    if options.makers:      # a GPU is faster than the making: all data first
        needed = range(min(options.shards, int(options.tokens / options.shard_tokens) + 2))
        with ProcessPoolExecutor(options.makers) as makers:
            for _ in makers.map(functools.partial(shard, options), needed):
                pass
    with tempfile.TemporaryDirectory() as folder:
        options.meeting = Path(folder) / "meeting"
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped"))       # so that the workers end too
        torch.multiprocessing.spawn(train, (options,), options.workers, daemon=True)


if __name__ == "__main__":
    main()
