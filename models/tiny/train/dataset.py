"""Shards of training data: ids, what is trained on, where conversations start.

    python3 dataset.py --seed 1 --shards 0:40 --out DIR [--tokens 1000000] [--phase base|long]
    python3 dataset.py --show 5 [--phase long]        prints conversations
    python3 dataset.py --statistics                   tokens and trained share by task

A shard is the same for the same seed, index, phase and size. Only draws of the training split are in it."""

import argparse
import time
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy

from render import Writer, render
from tasks.base import TASK_IDS, Draw
from tasks.mix import OFF, conversation, late_conversation, long_conversation
from tokenizer import Encoder

BASE_TOKENS, LONG_TOKENS = 1024, 4096
_encoder = None


def encoder():
    global _encoder
    if _encoder is None:
        _encoder = Encoder.open()
    return _encoder


class Shard(NamedTuple):
    """`tokens` uint16, all conversations one behind the other; `weights` uint8, 1 where the token is trained on;
    `starts` int64, where each conversation starts, and the end; `tasks` uint8, number of the task of each
    conversation's last exchange (`tasks.base.TASKS`)."""

    tokens: numpy.ndarray
    weights: numpy.ndarray
    starts: numpy.ndarray
    tasks: numpy.ndarray

    def save(self, path):
        numpy.savez_compressed(path, **self._asdict())

    @classmethod
    def load(cls, path):
        with numpy.load(path) as file:
            return cls(*(file[name] for name in cls._fields))


def conversations(seed, index, phase="base"):
    """Rendered conversations of one shard, without end: ids, weights, exchanges."""
    draw = Draw(f"{phase}/{seed}/{index}")
    lengths = {"base": 0, "long": 0}
    while True:
        # a quarter of the tokens of the long phase is in long conversations
        long = phase == "long" and lengths["long"] * 3 <= lengths["base"]
        make = long_conversation if long else late_conversation if phase == "long" else conversation
        made = make(draw)
        rendered = render(encoder(), made, LONG_TOKENS if long else BASE_TOKENS)
        if rendered is None:
            continue
        lengths["long" if len(rendered[0]) > BASE_TOKENS else "base"] += len(rendered[0])
        yield rendered


def make_shard(seed: int, index: int, tokens: int = 1_000_000, phase: str = "base") -> Shard:
    """About `tokens` tokens: the last conversation is whole."""
    if phase not in ("base", "long"):
        raise ValueError(f"phase is {phase!r}; there are 'base' and 'long'")
    ids, weights, starts, tasks = [], [], [0], []
    for one, trained, exchanges in conversations(seed, index, phase):
        ids += one
        weights += trained
        starts.append(len(ids))
        tasks.append(TASK_IDS[exchanges[-1].task])
        if len(ids) >= tokens:
            break
    return Shard(numpy.array(ids, numpy.uint16), numpy.array(weights, numpy.uint8), numpy.array(starts, numpy.int64),
                 numpy.array(tasks, numpy.uint8))


def show(count, seed, phase):
    """Prints conversations; what is trained on is between arrows."""
    for (ids, weights, _), _ in zip(conversations(seed, 0, phase), range(count)):
        text, start = [], 0
        for at in range(1, len(ids) + 1):
            if at == len(ids) or weights[at] != weights[start]:
                piece = encoder().decode(ids[start:at])
                text.append(f"\033[32m{piece}\033[0m" if weights[start] else piece)
                start = at
        print("".join(text) + f"=== {len(ids)} tokens, {sum(weights)} trained\n")


def statistics(seed, phase, tokens=400_000):
    """How many tokens each task takes and how many of them are trained on, as far as they are in exchanges; the rest is
    system texts and declarations of tools."""
    exchanges, lengths, trained, visible = Counter(), Counter(), Counter(), []
    total = on = 0
    for ids, weights, made in conversations(seed, 0, phase):
        total, on = total + len(ids), on + sum(weights)
        visible.append(len(ids))
        for one in made:
            writer = Writer(encoder())
            writer.exchange(one, OFF)
            exchanges[one.task] += 1
            lengths[one.task] += len(writer.ids)
            trained[one.task] += sum(writer.weights)
        if total > tokens:
            break
    for task, count in exchanges.most_common():
        print(f"{task:16} {count:6} exchanges, {lengths[task] / total:6.1%} of the tokens, {lengths[task] / count:6.1f} tokens each,"
              f" {trained[task] / count:5.1f} trained (without reasoning)")
    print(f"{total} tokens, {on / total:.1%} trained, {len(visible)} conversations, median {sorted(visible)[len(visible) // 2]}"
          f" tokens, longest {max(visible)}; {1 - sum(lengths.values()) / total:.1%} in declarations, system texts, reasoning")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--shards", help="first:end, such as 0:40")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--tokens", type=int, default=1_000_000)
    parser.add_argument("--phase", choices=["base", "long"], default="base")
    parser.add_argument("--show", type=int)
    parser.add_argument("--statistics", action="store_true")
    arguments = parser.parse_args()
    if arguments.show:
        return show(arguments.show, arguments.seed, arguments.phase)
    if arguments.statistics:
        return statistics(arguments.seed, arguments.phase)
    if not arguments.shards or not arguments.out:
        parser.error("--shards and --out are needed, or --show, or --statistics")
    first, end = map(int, arguments.shards.split(":"))
    arguments.out.mkdir(parents=True, exist_ok=True)
    for index in range(first, end):
        started = time.time()
        shard = make_shard(arguments.seed, index, arguments.tokens, arguments.phase)
        shard.save(arguments.out / f"{arguments.phase}-{arguments.seed}-{index:04d}.npz")
        seconds = time.time() - started
        print(f"shard {index}: {len(shard.tokens)} tokens, {shard.weights.mean():.1%} trained,"
              f" {len(shard.tokens) / seconds:.0f} tokens/s", flush=True)


if __name__ == "__main__":
    main()
