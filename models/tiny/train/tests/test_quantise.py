"""e4m3 against its table, and what a quantised checkpoint holds against the model it was made of."""

import json
import math
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

try:
    import torch
except ImportError:
    raise unittest.SkipTest("PyTorch is not installed")

import model as tiny
import quantise
from record_fp8 import CONFIG, read_fp8, small_model
from export import write_safetensors


class E4m3Test(unittest.TestCase):

    def test_every_code_comes_back(self):
        codes = torch.arange(256, dtype=torch.uint8)
        numbers = (codes & 0x7F) != 0x7F
        self.assertTrue(torch.equal(quantise.encode(quantise.decode(codes))[numbers], codes[numbers]))
        self.assertTrue(quantise.decode(codes)[~numbers].isnan().all())

    def test_known_codes(self):
        # table 1 of Micikevicius et al. 2022 (arXiv:2209.05433)
        for code, value in {0x7E: 448.0, 0x08: 2.0 ** -6, 0x07: 0.875 * 2.0 ** -6, 0x01: 2.0 ** -9, 0x38: 1.0, 0xB8: -1.0}.items():
            self.assertEqual(quantise.decode(torch.tensor(code)).item(), value)

    def test_numbers_go_to_the_nearest_and_ties_to_the_even_code(self):
        codes = torch.arange(0x7E, dtype=torch.uint8)
        low, high = quantise.decode(codes), quantise.decode(codes + 1)
        middle = (low + high) / 2
        below, above = torch.nextafter(middle, torch.tensor(0.0)), torch.nextafter(middle, torch.tensor(math.inf))
        for sign, bit in ((1, 0), (-1, 0x80)):
            self.assertTrue(torch.equal(quantise.encode(sign * below), codes + bit))
            self.assertTrue(torch.equal(quantise.encode(sign * above), codes + 1 + bit))
            self.assertTrue(torch.equal(quantise.encode(sign * middle), codes + (codes & 1) + bit))

    def test_what_is_too_large_saturates_and_nan_stays(self):
        x = torch.tensor([448.1, 1e30, math.inf, -math.inf, math.nan, 0.0, -0.0, 1e-30])
        self.assertEqual(quantise.encode(x).tolist(), [0x7E, 0x7E, 0x7E, 0xFE, 0x7F, 0, 0x80, 0])


class QuantiseTest(unittest.TestCase):

    @classmethod
    def setUpClass(cls):
        cls.plain = small_model(5).eval()
        draw = torch.Generator().manual_seed(6)
        cls.text = [torch.randint(0, CONFIG["vocab_size"], (200,), generator=draw).tolist() for _ in range(4)]

    def quantised(self, all_mamba=False):
        model = small_model(5).eval()
        return quantise.quantise(model, quantise.calibrate(model, quantise.chosen(model, all_mamba), self.text))

    def test_mamba_in_front_of_attention_attention_and_head_stay(self):
        few, more = (set(quantise.chosen(self.plain, all_mamba)) for all_mamba in (False, True))
        self.assertEqual({name.split(".")[2] for name in few}, {"0", "1", "4"})     # M E M * E
        self.assertEqual(more - few, {"backbone.layers.2.mixer.in_proj", "backbone.layers.2.mixer.out_proj"})
        self.assertFalse([name for name in few if "gate" in name or "conv1d" in name])

    def test_scales_make_the_largest_numbers_the_largest_code(self):
        model = self.quantised()
        inputs = []
        name = "backbone.layers.0.mixer.in_proj"
        self.plain.get_submodule(name).register_forward_pre_hook(lambda module, given: inputs.append(given[0].abs().max()))
        with torch.no_grad():
            for tokens in self.text:
                self.plain(torch.tensor([tokens]))
        matrix = model.get_submodule(name)
        self.assertAlmostEqual((matrix.input_scale * 448).item(), max(inputs).item(), places=5)
        self.assertEqual(matrix.codes.bitwise_and(0x7F).max().item(), 0x7E)

    @torch.no_grad()
    def test_logits_stay_near(self):
        tokens = torch.tensor([self.text[0]])
        plain = self.plain(tokens)
        for all_mamba in (False, True):
            error = (self.quantised(all_mamba)(tokens) - plain).norm() / plain.norm()
            self.assertLess(error, 0.15)
            self.assertGreater(error, 0.005)    # else nothing was rounded

    def test_what_was_written_is_read_again(self):
        model = self.quantised()
        with tempfile.TemporaryDirectory() as name:
            folder = Path(name)
            quantise.write(model, CONFIG, folder)
            read = read_fp8(folder / "model.safetensors")
            config = json.loads((folder / "config.json").read_text())["quantization_config"]
            recipe = json.loads((folder / "hf_quant_config.json").read_text())["quantization"]
        stored = quantise.tensors_of(model)
        self.assertEqual(read.keys(), stored.keys())
        for tensor in stored:
            self.assertTrue(torch.equal(read[tensor], stored[tensor]), tensor)
            self.assertEqual(read[tensor].shape, stored[tensor].shape)
        matrices = {tensor for tensor, value in stored.items() if value.dtype == torch.uint8}
        self.assertEqual(len(matrices), 2 + 2 * (2 * 4 + 2))
        for weight in matrices:
            self.assertEqual((stored[weight + "_scale"].shape, stored[weight + "_scale"].dtype), (torch.Size([]), torch.float32))
        self.assertEqual(config["ignore"], recipe["exclude_modules"])
        self.assertFalse({weight.removesuffix(".weight") for weight in matrices} & set(config["ignore"]))

    @torch.no_grad()
    def test_an_expert_that_no_token_comes_to_is_refused(self):
        model = small_model(5).eval()
        for router in tiny.routers(model):
            router.e_score_correction_bias[3] = -100.0
        with self.assertRaisesRegex(SystemExit, r"no token came to .*experts\.3\.up_proj"):
            quantise.calibrate(model, quantise.chosen(model, False), self.text)

    @torch.no_grad()
    def test_an_expert_that_lets_nothing_through_gets_a_scale(self):
        model = small_model(5).eval()
        expert = model.get_submodule("backbone.layers.1.mixer.experts.2")
        expert.up_proj.weight.zero_()
        scales = quantise.calibrate(model, quantise.chosen(model, False), self.text)
        self.assertEqual(scales["backbone.layers.1.mixer.experts.2.down_proj"].item(), 1.0)


if __name__ == "__main__":
    unittest.main()
