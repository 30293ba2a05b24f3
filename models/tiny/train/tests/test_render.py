import unittest

from dataset import encoder
from reference import rendered, template
from render import render
from tasks.base import Draw
from tasks.mix import ALL, LAST, conversation, long_conversation
from tokenizer import IM_END


class RenderTest(unittest.TestCase):
    def test_renders_as_the_template_does(self):
        compiled = template()
        for seed in range(600):
            draw = Draw(f"render-test/{seed}", test=seed % 2 == 0)
            made = conversation(draw) if seed % 20 else long_conversation(draw)
            found = render(encoder(), made, 1024 if seed % 20 else 4096)
            if found is None:
                continue
            ids, _, kept = found
            text = rendered(compiled, made, kept)
            self.assertEqual(text, encoder().decode(ids), f"seed {seed}")
            self.assertEqual(encoder().encode_template(text), ids, f"seed {seed}")

    def test_trains_on_what_the_assistant_says_and_on_nothing_else(self):
        for seed in range(200):
            made = conversation(Draw(f"weights-test/{seed}"))
            found = render(encoder(), made, 1024)
            if found is None:
                continue
            ids, weights, kept = found
            said = [encoder().decode(part).removesuffix("<|im_end|>") for part in trained_runs(ids, weights)]
            expected = []
            for one in kept:
                for message in one.messages:
                    last = one is kept[-1] and message is one.messages[-1]
                    visible = made.thinking == ALL or (made.thinking == LAST and last)
                    if message["role"] == "assistant" and (visible or not one.hard):
                        expected.append((message, visible))
            self.assertEqual(len(expected), len(said), f"seed {seed}")
            for (message, visible), text in zip(expected, said):
                if visible:
                    reasoning, text = text.split("\n</think>\n", 1)
                    self.assertEqual(message["reasoning_content"], reasoning)
                if "tool_calls" in message:
                    for name, _ in message["tool_calls"]:
                        self.assertIn(f"<tool_call>\n<function={name}>\n", text)
                else:
                    self.assertEqual(message["content"], text)

    def test_every_trained_run_ends_the_turn(self):
        for seed in range(100):
            found = render(encoder(), conversation(Draw(f"end-test/{seed}")), 1024)
            if found:
                for run in trained_runs(*found[:2]):
                    self.assertEqual(IM_END, run[-1])
                    self.assertNotIn(IM_END, run[:-1])


def trained_runs(ids, weights):
    """The stretches that are trained on, cut behind each end of a turn."""
    runs, run = [], []
    for token, weight in zip(ids, weights):
        if weight:
            run.append(token)
        elif run:
            runs.append(run)
            run = []
    return runs + ([run] if run else [])


if __name__ == "__main__":
    unittest.main()
