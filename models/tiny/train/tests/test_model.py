"""The forward pass against slow and obvious twins, and what is saved against what was trained."""

import json
import struct
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

try:
    import torch
except ImportError:
    raise unittest.SkipTest("PyTorch is not installed")

import export
import fused
import model as tiny

CONFIG = tiny.read_config(Path(__file__).parents[2] / "config.json")


def recurrence(u, step, rate, key, query):
    """S = exp(step·rate) S + step·u⊗key, y = S·query, token by token."""
    batch, length, heads, width = u.shape
    shared = heads // key.shape[2]
    state = torch.zeros(batch, heads, width, key.shape[3], dtype=u.dtype)
    rows = []
    for t in range(length):
        k, q = (x[:, t].repeat_interleave(shared, 1) for x in (key, query))
        decay = torch.exp(step[:, t] * rate)[..., None, None]
        state = decay * state + (step[:, t, :, None] * u[:, t])[..., None] * k[:, :, None]
        rows.append((state * q[:, :, None]).sum(-1))
    return torch.stack(rows, 1)


class ScanTest(unittest.TestCase):

    def test_chunks_give_what_the_recurrence_gives(self):
        torch.manual_seed(7)
        u = torch.randn(2, 192, 4, 8, dtype=torch.float64)
        step = torch.rand(2, 192, 4, dtype=torch.float64) * 0.3
        rate = -torch.rand(4, dtype=torch.float64) * 4
        key, query = torch.randn(2, 2, 192, 2, 16, dtype=torch.float64)
        expected = recurrence(u, step, rate, key, query)
        for chunk in (1, 64, 192):
            self.assertLess((tiny.scan(u, step, rate, key, query, chunk) - expected).abs().max(), 1e-12)


class ModelTest(unittest.TestCase):

    def setUp(self):
        torch.manual_seed(11)
        self.model = tiny.Model(CONFIG).eval()

    @torch.no_grad()
    def test_later_tokens_and_padding_change_nothing(self):
        tokens = torch.randint(0, CONFIG.vocab_size, (1, 200))
        whole = self.model(tokens)
        for length in (1, 63, 64, 65, 130):
            self.assertLess((self.model(tokens[:, :length]) - whole[:, :length]).abs().max(), 1e-5)

    @torch.no_grad()
    def test_the_correction_bias_chooses_and_does_not_weigh(self):
        router = tiny.routers(self.model)[0]
        x = torch.randn(50, CONFIG.hidden_size)
        router.e_score_correction_bias[3] = 100.0
        chosen, shares = router(x)
        self.assertTrue((chosen[:, 0] == 3).all())
        scores = torch.sigmoid(x @ router.weight.T).gather(1, chosen)
        expected = scores / scores.sum(1, keepdim=True) * CONFIG.routed_scaling_factor
        self.assertLess((shares - expected).abs().max(), 1e-5)

    def test_a_checkpoint_holds_the_rounded_weights(self):
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            stored = export.checkpoint({"model": self.model.state_dict()})
            export.write_safetensors(stored, path, {})
            data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        self.assertEqual(size % 8, 0)
        name = "backbone.layers.2.mixer.experts.7.down_proj.weight"
        begin, end = header[name]["data_offsets"]
        read = torch.frombuffer(bytearray(data[8 + size + begin:8 + size + end]), dtype=torch.bfloat16)
        self.assertEqual(header[name]["shape"], [CONFIG.hidden_size, CONFIG.moe_intermediate_size])
        self.assertTrue(torch.equal(read.view(stored[name].shape), stored[name]))
        self.assertEqual(len(data), 8 + size + max(t["data_offsets"][1] for n, t in header.items() if n != "__metadata__"))


@unittest.skipIf(fused.LIBRARY is None, "no AVX-512 or no g++ here: the plain code trains")
class FusedTest(unittest.TestCase):

    def gradients(self, layer, x):
        layer.zero_grad()
        x = x.clone().requires_grad_()
        y = layer(x)
        (y.float() * torch.sin(torch.arange(y.numel()).view_as(y))).sum().backward()
        return {"out": y.float(), "in": x.grad.float(), **{name: p.grad.clone() for name, p in layer.named_parameters()}}

    def compare(self, layer, x, tolerance):
        plain = self.gradients(layer.float(), x.float())
        layer.fused = True
        for name, value in self.gradients(layer, x).items():
            self.assertLess(((value - plain[name]).norm() / plain[name].norm()).item(), tolerance, name)

    def test_mamba_and_all_its_gradients(self):
        torch.manual_seed(13)
        layer = tiny.Mamba(CONFIG)
        with torch.no_grad():
            for parameter in layer.parameters():
                parameter.add_(torch.randn_like(parameter) * 0.1)
        self.compare(layer, torch.randn(3, 256, CONFIG.hidden_size).bfloat16(), 0.012)

    def test_the_norm_and_its_gradients(self):
        torch.manual_seed(17)
        layer = tiny.RmsNorm(256, 256, 1e-5)
        with torch.no_grad():
            layer.weight.add_(torch.randn(256) * 0.1)
        self.compare(layer, torch.randn(50, 256), 1e-5)


if __name__ == "__main__":
    unittest.main()
