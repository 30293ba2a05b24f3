"""What every task is made of: a source of random draws that keeps train and test apart, and one exchange of messages."""

import random
from typing import NamedTuple
from zlib import crc32


class Draw(random.Random):
    """A random source for one split. `fresh` draws until the hash of the contents belongs to the split: 1 in 10
    possible contents is only ever seen in tests, the others only in training."""

    def __new__(cls, seed, test=False):
        return super().__new__(cls)

    def __init__(self, seed, test=False):
        super().__init__(seed)
        self.test = test

    def fresh(self, make):
        for _ in range(2000):
            contents = make()
            if (crc32(repr(contents).encode()) % 10 == 0) == self.test:
                return contents
        raise ValueError(f"2000 draws and none for the {'test' if self.test else 'training'}; the last: {contents!r}")

    def chance(self, probability):
        return self.random() < probability


class Exchange(NamedTuple):
    """A user's message and all that follows it up to the assistant's last word.

    `messages` are OpenAI messages, except that `tool_calls` is a list of (name, arguments as a dict). Every assistant
    message has a `reasoning_content`: the renderer leaves it out where thinking is off. `hard`: without its reasoning
    the answer is no fair demand, so nothing is trained or tested on it then."""

    task: str
    messages: list
    hard: bool = False


def exchange(task, user, answer, reasoning, hard=False):
    return Exchange(task, [{"role": "user", "content": user}, said(answer, reasoning)], hard)


def said(answer, reasoning):
    return {"role": "assistant", "content": answer, "reasoning_content": reasoning}


def called(calls, reasoning):
    return {"role": "assistant", "content": None, "reasoning_content": reasoning, "tool_calls": calls}


def decimal(draw, low, high, digits=1):
    """A number with a fraction: a whole one is another kind of number in some readers."""
    while True:
        number = round(draw.uniform(low, high), digits)
        if number != int(number):
            return number


def casual(draw, text):
    """A user's way of typing: now and then without capitals or without the mark at the end."""
    kind = draw.random()
    if kind < 0.12:
        text = text[0].lower() + text[1:]
    elif kind < 0.2:
        text = text.lower()
    if draw.random() < 0.15 and text[-1] in "?.!":
        text = text[:-1]
    return text


def an(noun):
    """The noun with its article."""
    return ("an " if noun[0] in "aeiou" else "a ") + noun


def listed(words):
    """`a`, `a and b`, `a, b and c`."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


# The numbers under which a shard records what a conversation is about.
TASKS = ["greeting", "about", "unknown", "fact", "arithmetic", "copy", "reverse", "sort", "count", "pick", "sequence",
         "key-recall", "passphrase", "memory", "tool-call", "tool-two-calls", "tool-none", "tool-answer", "json"]
TASK_IDS = {name: number for number, name in enumerate(TASKS)}
