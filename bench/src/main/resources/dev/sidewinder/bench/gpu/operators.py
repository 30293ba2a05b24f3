"""Measures operators with PyTorch, for a comparison on the same device.

Reads requests from standard input, a line each, and answers each on standard output at once:

    linear bf16 M N K      y = x W^T, weights in bf16             ->  ok MEDIAN_US P95_US
    linear fp8 M N K       torch._scaled_mm, e4m3, scalar scales  ->  ok MEDIAN_US P95_US
    decode B L HQ HKV D    attention of one token over L          ->  left out, REASON
    prompt T HQ HKV D      causal attention of T tokens

    python3 operators.py [REPEATS [DEVICE]]

Times are those of one call in a chain of calls in a captured graph, over several sets of weights, so that none is found
in the cache: as the benchmark that starts this script measures its own kernels. DEVICE "cpu" makes the same calls there, timed by
the clock: a trial of this script where there is no GPU, whose times say nothing.
"""

import statistics
import sys
import time

import torch

REPEATS = int(sys.argv[1]) if len(sys.argv) > 1 else 50
DEVICE = sys.argv[2] if len(sys.argv) > 2 else "cuda"
CHAIN_US = 500.0
COLD_CACHES = 3
MOST_SETS = 64


def random(*shape, dtype=torch.bfloat16):
    values = torch.empty(*shape, device=DEVICE, dtype=torch.bfloat16).normal_(0, 0.05)
    return values.to(dtype)


def linear_bf16(m, n, k):
    x = random(m, k)
    out = torch.empty(m, n, device=DEVICE, dtype=torch.bfloat16)
    return 2 * n * k, lambda: random(n, k), lambda w: torch.mm(x, w.t(), out=out)


def linear_fp8(m, n, k):
    x = random(m, k, dtype=torch.float8_e4m3fn)
    one = torch.ones((), device=DEVICE)
    return n * k, lambda: random(n, k, dtype=torch.float8_e4m3fn), lambda w: torch._scaled_mm(
        x, w.t(), scale_a=one, scale_b=one, out_dtype=torch.bfloat16)


def attention(batch, queries, context, query_heads, kv_heads, head_dim, causal):
    q = random(batch, query_heads, queries, head_dim)
    shape = (2, batch, kv_heads, context, head_dim)
    return 4 * batch * kv_heads * context * head_dim, lambda: random(*shape), lambda kv: (
        torch.nn.functional.scaled_dot_product_attention(q, kv[0], kv[1], is_causal=causal, enable_gqa=True))


def operator(words):
    kind, numbers = words[0], words[1:]
    if kind == "linear":
        make = {"bf16": linear_bf16, "fp8": linear_fp8}[numbers[0]]
        return make(*map(int, numbers[1:]))
    if kind == "decode":
        batch, context, query_heads, kv_heads, head_dim = map(int, numbers)
        return attention(batch, 1, context, query_heads, kv_heads, head_dim, False)
    if kind == "prompt":
        tokens, query_heads, kv_heads, head_dim = map(int, numbers)
        return attention(1, tokens, tokens, query_heads, kv_heads, head_dim, True)
    raise ValueError("unknown request " + " ".join(words))


class Gpu:
    def memory(self):
        return torch.cuda.get_device_properties(0).L2_cache_size, torch.cuda.mem_get_info()[0]

    def synchronize(self):
        torch.cuda.synchronize()

    def times(self, chain, repeats):
        """Microseconds of each repetition of the chain."""
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph):
            chain()
        graph.replay()
        marks = [torch.cuda.Event(enable_timing=True) for _ in range(repeats + 1)]
        for i, mark in enumerate(marks):
            mark.record()
            if i < repeats:
                graph.replay()
        torch.cuda.synchronize()
        return [before.elapsed_time(after) * 1e3 for before, after in zip(marks, marks[1:])]

    def release(self):
        torch.cuda.empty_cache()


class Cpu:
    def __init__(self):
        torch.set_num_threads(1)

    def memory(self):
        return 1 << 20, 1 << 30

    def synchronize(self):
        pass

    def times(self, chain, repeats):
        found = []
        for _ in range(repeats):
            begin = time.perf_counter()
            chain()
            found.append((time.perf_counter() - begin) * 1e6)
        return found

    def release(self):
        pass


def measure(device, set_bytes, make, call):
    cache, free = device.memory()
    count = max(1, min(COLD_CACHES * cache // set_bytes + 1, free // 2 // set_bytes, MOST_SETS))
    sets = [make() for _ in range(count)]
    for one in sets:
        call(one)
    device.synchronize()
    trial = min(run(device, sets, call, len(sets), 2))
    length = -(-max(1, min(int(CHAIN_US / max(trial, 1e-3)), 512)) // count) * count
    times = run(device, sets, call, length, REPEATS)
    return statistics.median(times), sorted(times)[max(0, -(-95 * len(times) // 100) - 1)]


def run(device, sets, call, length, repeats):
    def chain():
        for i in range(length):
            call(sets[i % len(sets)])

    return [micros / length for micros in device.times(chain, repeats)]


def main():
    device = Cpu() if DEVICE == "cpu" else Gpu()
    torch.manual_seed(0)
    print("torch", torch.__version__, flush=True)
    for line in sys.stdin:
        try:
            median, p95 = measure(device, *operator(line.split()))
            print("ok %.3f %.3f" % (median, p95), flush=True)
        except Exception as failure:  # an operator that this version lacks must not keep the others from running
            print("left out,", str(failure).splitlines()[0] if str(failure) else type(failure).__name__, flush=True)
        device.release()


main()
