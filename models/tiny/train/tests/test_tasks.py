import ast
import json
import re
import unittest
from collections import Counter

import dataset
import make_eval
from tasks import about, arithmetic, facts, json_objects, lists, mix, tool_use
from tasks.base import TASK_IDS, Draw
from tasks.words import LIST_WORDS


class SplitTest(unittest.TestCase):
    def test_training_and_test_never_draw_the_same_contents(self):
        for make in (arithmetic.long_sum, arithmetic.two_steps, arithmetic.small_sum, lists.copy, lists.reverse, lists.sort,
                     facts.fact, about.about, about.greeting, about.unknown, json_objects.json_object):
            train, test = (Draw(f"split/{make.__name__}", test) for test in (False, True))
            seen = {make(train).messages[0]["content"] for _ in range(4000)}
            held = {make(test).messages[0]["content"] for _ in range(400)}
            shared = seen & held
            # a way of typing (a lost capital or mark) is not part of what is split everywhere, so two different
            # contents may now and then be typed alike
            self.assertLess(len(shared), len(held) // 20, f"{make.__name__}: {sorted(shared)[:5]}")

    def test_no_test_case_is_in_a_shard(self):
        cases = {case["messages"][-1]["content"] for case in make_eval.short_cases()
                 if case["task"] in ("copy", "reverse", "arithmetic-thinking", "passphrase", "json")
                 and len(case["messages"][-1]["content"]) > 40}
        text = dataset.encoder().decode(dataset.make_shard(1, 0, 300_000).tokens.tolist())
        asked = set(re.findall(r"<\|im_start\|>user\n(.*?)<\|im_end\|>", text, re.DOTALL))
        self.assertGreater(len(asked), 3000)
        self.assertEqual(set(), cases & asked)

    def test_a_contents_that_only_one_split_has_is_told(self):
        with self.assertRaisesRegex(ValueError, "2000 draws"):
            Draw(1, test=True).fresh(lambda: next(n for n in range(100) if n))


class AnswersTest(unittest.TestCase):
    """Answers are worked out again, in another way, from what the user wrote."""

    def test_sums_are_right_and_every_line_of_their_reasoning(self):
        draw = Draw("sums")
        for _ in range(3000):
            made = draw.choice([arithmetic.long_sum, arithmetic.two_steps, arithmetic.small_sum])(draw)
            answer = made.messages[1]["content"]
            if "=" in answer:
                left, right = answer.split("=")
                self.assertEqual(evaluate(left), int(right), made)
            for line in made.messages[1]["reasoning_content"].split("\n"):
                for equation in re.findall(r"([-\d+* ]+) = (-?\d+)", line):
                    self.assertEqual(evaluate(equation[0]), int(equation[1]), line)

    def test_the_written_digits_are_the_result(self):
        draw = Draw("digits")
        for _ in range(3000):
            message = arithmetic.long_sum(draw).messages[1]
            lines = message["reasoning_content"].split("\n")
            digits = re.findall(r"write (\d)", message["reasoning_content"])
            if digits:
                result = lines[-1].split("= ")[1].lstrip("-")
                self.assertEqual(int(result), int("".join(reversed(digits))), message)

    def test_lists_come_back_as_asked(self):
        draw = Draw("lists")
        for _ in range(1000):
            asked, answer = (message["content"] for message in lists.reverse(draw).messages)
            self.assertEqual(sorted(words(answer)), sorted(words(answer)), asked)
            self.assertTrue(set(words(answer)) <= set(words(asked)))
            asked, answer = (message["content"] for message in lists.sort(draw).messages)
            items = words(answer)
            numeric = [int(item) for item in items] if items[0].isdigit() else items
            self.assertIn(numeric, [sorted(numeric), sorted(numeric, reverse=True)], asked)
            asked, answer = (message["content"] for message in lists.copy(draw).messages)
            self.assertTrue(asked.endswith(answer))

    def test_counted_and_reversed_lists_are_right(self):
        draw = Draw("count")
        for _ in range(1000):
            made = lists.count(draw).messages
            asked, answer, why = made[0]["content"], made[1]["content"], made[1]["reasoning_content"]
            wanted = re.search(r"(?:does|is|Count|see) (\w+) (?:occur|in|here)", asked)
            items = [step.split(" ") for step in why.split(", ")]
            if items[0][0].isdigit() and not (wanted and wanted[1] in LIST_WORDS):
                self.assertEqual(len(items), int(answer))
            else:
                self.assertEqual(sum(item == wanted[1] for item, _ in items), int(answer), asked)

    def test_objects_are_json_of_the_stated_types(self):
        draw = Draw("json")
        types = {"string": str, "integer": int, "number": float, "boolean": bool, "array": list}
        for _ in range(1000):
            asked, answer = (message["content"] for message in json_objects.json_object(draw).messages)
            value = json.loads(answer)
            self.assertEqual(answer, json.dumps(value, ensure_ascii=False))
            schema = re.search(r"^\{.*\}$", asked, re.MULTILINE)
            if schema:
                properties = json.loads(schema[0])["properties"]
                self.assertEqual(list(properties), list(value))
                for name, one in properties.items():
                    self.assertIs(types[one["type"]], type(value[name]), asked)

    def test_calls_fit_their_declarations(self):
        draw = Draw("calls")
        for _ in range(1500):
            tools = tool_use.declared(draw)
            declared = {tool.name: tool.declaration()["function"]["parameters"] for tool in tools}
            made = draw.choice([tool_use.one_call, tool_use.two_calls])(draw, tools)
            for name, arguments in made.messages[1]["tool_calls"]:
                properties = declared[name]["properties"]
                self.assertEqual(list(properties), list(arguments))
                for key, value in arguments.items():
                    if "enum" in properties[key]:
                        self.assertIn(value, properties[key]["enum"])
                    shown = ", ".join(value) if isinstance(value, list) else str(value).lower()
                    self.assertIn(shown, made.messages[0]["content"].lower() if not isinstance(value, list)
                                  else made.messages[0]["content"])

    def test_closed_lists_have_no_contradiction(self):
        sides = Counter(word for pair in facts.OPPOSITES for word in pair)
        self.assertEqual([], [word for word, count in sides.items() if count > 1])
        self.assertEqual(len(facts.CAPITALS), len(set(facts.CAPITALS.values())))
        for table in (about.GREETINGS, about.ABOUT):
            asked = Counter(one.lower().rstrip("?.!") for _, _, ways in table for one in set(w.lower().rstrip("?.!") for w in ways))
            self.assertEqual([], [one for one, count in asked.items() if count > 1])
        greetings = {one.lower().rstrip("?.!") for _, _, ways in about.GREETINGS for one in ways}
        self.assertEqual(set(), greetings & {one.lower().rstrip("?.!") for _, _, ways in about.ABOUT for one in ways})


class ShardTest(unittest.TestCase):
    def test_a_shard_is_the_same_again_and_differs_from_others(self):
        one, again, other = (dataset.make_shard(1, index, 20_000) for index in (0, 0, 1))
        for field, same in zip(one, again):
            self.assertTrue((field == same).all())
        self.assertNotEqual(one.tokens[:5000].tolist(), other.tokens[:5000].tolist())

    def test_a_shard_has_the_promised_shape(self):
        for phase, longest in (("base", 1024), ("long", 4096)):
            shard = dataset.make_shard(3, 0, 200_000, phase)
            lengths = shard.starts[1:] - shard.starts[:-1]
            self.assertEqual(len(shard.tokens), shard.starts[-1])
            self.assertEqual(len(shard.tokens), len(shard.weights))
            self.assertEqual(len(lengths), len(shard.tasks))
            self.assertLessEqual(lengths.max(), longest)
            self.assertTrue(0.22 < shard.weights.mean() < 0.45, shard.weights.mean())
            self.assertTrue((shard.tokens[shard.starts[:-1]] == 10).all())
            self.assertLess(shard.tasks.max(), len(TASK_IDS))
            if phase == "long":
                self.assertTrue(0.2 < lengths[lengths > 1024].sum() / lengths.sum() < 0.35)

    def test_a_shard_survives_the_disk(self):
        import tempfile
        shard = dataset.make_shard(1, 0, 5_000)
        with tempfile.TemporaryDirectory() as folder:
            shard.save(folder + "/x.npz")
            for field, same in zip(shard, dataset.Shard.load(folder + "/x.npz")):
                self.assertEqual(field.dtype, same.dtype)
                self.assertTrue((field == same).all())

    def test_every_task_is_drawn(self):
        shard = dataset.make_shard(1, 0, 400_000)
        kinds = {made.task for _, _, exchanges in zip_first(dataset.conversations(1, 0), 1500) for made in exchanges}
        self.assertEqual(set(TASK_IDS), kinds)
        self.assertGreater(len(set(shard.tasks.tolist())), 12)


class EvalTest(unittest.TestCase):
    def test_the_files_in_the_repository_are_those_of_the_script(self):
        import gzip
        from tokenizer import FOLDER
        with gzip.open(FOLDER / "eval/test.jsonl.gz", "rt", encoding="utf-8") as file:
            self.assertEqual([json.loads(line) for line in file], make_eval.short_cases())

    def test_long_prompts_are_as_long_as_they_say(self):
        for one in make_eval.cases("passphrase-4k", [make_eval.long_phrase("passphrase-4k", 4096, depth) for depth in (0, 0.5, 1)]):
            text = one["messages"][0]["content"]
            self.assertTrue(4096 - 60 < len(dataset.encoder().encode(text)) + 20 <= 4096)
            self.assertIn(one["expect"]["content"].removeprefix("The pass phrase is "), text)


def evaluate(expression):
    return eval_node(ast.parse(re.sub(r"\b0+(\d)", r"\1", expression.strip()), mode="eval").body)


def eval_node(node):
    if isinstance(node, ast.BinOp):
        left, right = eval_node(node.left), eval_node(node.right)
        return {ast.Add: left + right, ast.Sub: left - right, ast.Mult: left * right}[type(node.op)]
    if isinstance(node, ast.UnaryOp):
        return -eval_node(node.operand)
    return node.value


def words(text):
    return re.split(r"[,; \n]+", text.strip())


def zip_first(items, count):
    return (item for item, _ in zip(items, range(count)))


if __name__ == "__main__":
    unittest.main()
