"""Writes the held-back test set: ../eval/test.jsonl.gz, and ../eval/test-long.jsonl.gz with recall over long prompts.

    python3 make_eval.py

Its draws are those that training never makes (`tasks.base.Draw.fresh`). The format is described in ../eval/README.md."""

import gzip
import json
from collections import Counter

from dataset import encoder
from render import Writer
from tasks import about, arithmetic, facts, json_objects, lists, mix, recall, tool_use
from tasks.base import Draw
from tasks.memory import Memory
from tokenizer import FOLDER

CASES = 180
SEED = "eval/1"
LONG = {"passphrase-1k": (1024, 20), "passphrase-4k": (4096, 20), "passphrase-16k": (16384, 12), "passphrase-64k": (65536, 10)}


def openai(exchanges, system=""):
    """OpenAI messages: the arguments of a call are JSON text, calls and results have ids. Reasoning is left out, as
    clients do."""
    messages = [{"role": "system", "content": system}] if system else []
    calls, waiting = 0, []
    for made in exchanges:
        for message in made.messages:
            if message["role"] == "tool":
                messages.append({"role": "tool", "tool_call_id": waiting.pop(0), "content": message["content"]})
            elif message.get("tool_calls"):
                sent = []
                for name, arguments in message["tool_calls"]:
                    calls += 1
                    waiting.append(f"call_{calls}")
                    sent.append({"id": waiting[-1], "type": "function",
                                 "function": {"name": name, "arguments": json.dumps(arguments, ensure_ascii=False)}})
                messages.append({"role": "assistant", "content": None, "tool_calls": sent})
            else:
                messages.append({"role": message["role"], "content": message["content"]})
    return messages


def expected(message, task):
    if message.get("tool_calls"):
        return {"tool_calls": [{"name": name, "arguments": arguments} for name, arguments in message["tool_calls"]]}
    if task == "json":
        return {"json": json.loads(message["content"])}
    if task in ("tool-none", "tool-answer"):
        return {"content": message["content"], "no_tool_calls": True}
    return {"content": message["content"]}


def case(task, exchanges, tools=(), system="", thinking=False):
    """A test case that asks for the last message of the last exchange."""
    *before, last = exchanges
    *asked, answer = last.messages
    made = {"task": task, "messages": openai([*before, last._replace(messages=asked)], system)}
    if tools:
        made["tools"] = [tool.declaration() for tool in tools]
    writer = Writer(encoder())
    writer.assistant(answer, thinking, 1)
    # a third more than the right answer takes, so that a wrong one ends too
    made.update(enable_thinking=thinking, max_tokens=sum(writer.weights) * 4 // 3 + 8, expect=expected(answer, task))
    return made


def _thinking(draw):
    return draw.chance(0.2)


def _alone(task, make):
    """A task by itself, behind one or two other exchanges in three of ten cases; thinking on in two of ten."""
    def build(draw):
        before = [mix.one_of(draw, mix.SHORT) for _ in range(draw.randint(1, 2))] if draw.chance(0.3) else []
        return case(task, [*before, make(draw)], system=mix.system_text(draw), thinking=_thinking(draw))
    return build


def _sums(thinking):
    make = arithmetic.thoughtful if thinking else arithmetic.plain

    def build(draw):
        made = make(draw)
        while thinking and not made.hard:
            made = make(draw)
        return case("arithmetic-thinking" if thinking else "arithmetic-plain", [made], thinking=thinking)
    return build


def key_recall(draw):
    lines = draw.randint(2, 40)
    exchanges = recall.key_list(draw, lines, draw.randint(1, 3))
    return case("key-recall", exchanges, system=mix.system_text(draw), thinking=_thinking(draw))


def passphrase(draw):
    sentences = draw.choice([draw.randint(1, 60), draw.randint(1, 60), draw.randint(60, 300)])
    exchanges = recall.passphrase_later(draw, sentences) if draw.chance(0.2) else [recall.passphrase(draw, sentences)]
    return case("passphrase", exchanges, thinking=_thinking(draw))


def memory(draw):
    said = Memory(draw)
    exchanges = [said.told()]
    for _ in range(draw.randint(1, 9)):
        kind = draw.random()
        exchanges.append(said.told() if kind < 0.3 else said.asked() if kind < 0.5 else mix.one_of(draw, mix.SHORT))
    exchanges.append(said.asked(known=True))
    return case("memory", exchanges, system=mix.system_text(draw), thinking=_thinking(draw))


def _earlier(draw, tools):
    """Nothing, or an answered call that comes first."""
    return [tool_use.one_call(draw, tools, answered=True)] if draw.chance(0.3) else []


def tool_call(draw):
    tools = tool_use.declared(draw)
    return case("tool-call", [*_earlier(draw, tools), tool_use.one_call(draw, tools, answered=False)], tools,
                mix.system_text(draw), _thinking(draw))


def tool_two_calls(draw):
    tools = tool_use.declared(draw)
    return case("tool-two-calls", [*_earlier(draw, tools), tool_use.two_calls(draw, tools, answered=False)], tools,
                mix.system_text(draw), _thinking(draw))


def tool_none(draw):
    tools = tool_use.declared(draw)
    made = tool_use.no_fit(draw, tools) if draw.chance(0.5) else mix.one_of(draw, mix.BESIDE_TOOLS)
    return case("tool-none", [*_earlier(draw, tools), made], tools, mix.system_text(draw), _thinking(draw))


def tool_answer(draw):
    tools = tool_use.declared(draw)
    make = tool_use.two_calls if draw.chance(0.3) else tool_use.one_call
    return case("tool-answer", [make(draw, tools, answered=True)], tools, mix.system_text(draw), _thinking(draw))


def long_phrase(task, tokens, depth):
    """A phrase at `depth` (0 to 1) of filler; the prompt has at most `tokens` tokens, and little less."""
    def build(draw):
        secret = draw.fresh(lambda: recall.phrase(draw))
        said = recall.PHRASE_SAID[0].format(secret)
        asked = "\n\n" + recall.PHRASE_ASKED[0]
        room = tokens - len(encoder().encode(said + asked)) - 24
        text = []
        while True:
            sentence = draw.choice(recall.FORMS)(draw)
            room -= len(encoder().encode(" " + sentence))
            if room < 0:
                break
            text.append(sentence)
        text.insert(round(depth * len(text)), said)
        answer = recall.PHRASE_ANSWER.format(secret)
        return case(task, [recall.exchange("passphrase", " ".join(text) + asked, answer, "")])
    return build


TASKS = {
    "greetings-and-self": _alone("greetings-and-self", lambda draw: mix.one_of(
        draw, [(about.greeting, 3), (about.about, 6), (about.unknown, 1)])),
    "facts": _alone("facts", facts.fact),
    "arithmetic-thinking": _sums(True),
    "arithmetic-plain": _sums(False),
    "copy": _alone("copy", lists.copy),
    "reverse": _alone("reverse", lists.reverse),
    "sort": _alone("sort", lists.sort),
    "count": _alone("count", lists.count),
    "pick": _alone("pick", lists.pick),
    "sequence": _alone("sequence", lists.sequence),
    "key-recall": key_recall,
    "passphrase": passphrase,
    "memory": memory,
    "tool-call": tool_call,
    "tool-two-calls": tool_two_calls,
    "tool-none": tool_none,
    "tool-answer": tool_answer,
    "json": _alone("json", json_objects.json_object),
}


def cases(task, builders):
    """The cases of one task, no two of them alike."""
    made, seen = [], set()
    for number, build in enumerate(builders):
        for attempt in range(200):
            one = build(Draw(f"{SEED}/{task}/{number}/{attempt}", test=True))
            key = json.dumps([one["messages"], one.get("tools")])
            if key not in seen:
                break
        else:
            raise ValueError(f"{task}: no case {number} that differs from the others")
        seen.add(key)
        made.append({"id": f"{task}-{number + 1:04d}", **one})
    return made


def short_cases():
    return [one for task, build in TASKS.items() for one in cases(task, [build] * CASES)]


def long_cases():
    return [one for task, (tokens, count) in LONG.items()
            for one in cases(task, [long_phrase(task, tokens, number / (count - 1)) for number in range(count)])]


def write(name, made):
    text = "".join(json.dumps(one, ensure_ascii=False) + "\n" for one in made)
    target = FOLDER / "eval" / name
    target.parent.mkdir(exist_ok=True)
    with open(target, "wb") as raw, gzip.GzipFile("", "wb", 9, raw, mtime=0) as file:
        file.write(text.encode())
    print(f"{name}: {len(made)} cases, {len(text)} characters, {target.stat().st_size} bytes packed")


def main():
    short = short_cases()
    write("test.jsonl.gz", short)
    print(dict(Counter(one["task"] for one in short)))
    write("test-long.jsonl.gz", long_cases())


if __name__ == "__main__":
    main()
