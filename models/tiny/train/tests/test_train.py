"""A run that was stopped and started again ends where an uninterrupted one does, to the bit."""

import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

import numpy
try:
    import torch
except ImportError:
    raise unittest.SkipTest("PyTorch is not installed")

import dataset
import train


def options(out, tokens, **more):
    given = {"--out": out, "--tokens": tokens, "--shard-tokens": 3000, "--shards": 3, "--batch": 2048, "--micro": 1024,
             "--workers": 1, "--validate": 10_000, "--save-minutes": 0, "--decay": 1e-9, **more}
    return [str(part) for pair in given.items() for part in pair]


class TrainTest(unittest.TestCase):

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = Path(folder.name)

    def state(self, name):
        return torch.load(self.folder / name / "state.pt")

    def test_a_run_goes_on_where_it_was_stopped(self):
        train.main(options(self.folder / "whole", 9000))
        # the same rate for both parts: the first one must not know that it is one
        train.main(options(self.folder / "parts", 9000, **{"--stop-shard": 1}))
        self.assertEqual(self.state("parts")["position"]["shard"], 1)
        train.main(options(self.folder / "parts", 9000))
        whole, parts = self.state("whole"), self.state("parts")
        self.assertEqual({**whole["position"], "seconds": 0}, {**parts["position"], "seconds": 0})
        self.assertGreater(whole["position"]["shard"], 1)
        for name, tensor in whole["model"].items():
            self.assertTrue(torch.equal(tensor, parts["model"][name]), name)

    def test_batches_hold_every_conversation_once(self):
        data = dataset.make_shard(3, 0, 20_000)
        lengths = []
        for tokens, trained in train.batches(data, 4096, 64, seed=1):
            self.assertTrue(tokens.shape[1] % 64 == 0 and (tokens.numel() <= 4096 or len(tokens) == 1))
            self.assertFalse((trained & (tokens == 0)).any())
            lengths += (tokens != 0).sum(1).tolist()
        kept = [int((data.tokens[begin:end] != 0).sum()) for begin, end in zip(data.starts, data.starts[1:])]
        self.assertEqual(sorted(lengths), sorted(kept))

    def test_shards_made_before_the_start_are_those_made_on_the_way(self):
        train.main(options(self.folder / "before", 4000, **{"--makers": 2, "--stop-shard": 1}))
        train.main(options(self.folder / "during", 4000, **{"--stop-shard": 1}))
        names = [sorted(path.name for path in (self.folder / run).glob("*.npz")) for run in ("before", "during")]
        self.assertLess(len(names[1]), len(names[0]))
        for name in names[1]:
            first, second = (dataset.Shard.load(self.folder / run / name) for run in ("before", "during"))
            self.assertTrue(all(numpy.array_equal(a, b) for a, b in zip(first, second)))


if __name__ == "__main__":
    unittest.main()
