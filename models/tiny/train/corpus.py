"""The text that the tokenizer is trained on: conversations of the generator, and the words of its closed lists."""

from render import Writer
from tasks import about, facts, words
from tasks.base import Draw
from tasks.mix import ALL, conversation, long_conversation

CONVERSATIONS = 12_000


class _Recorder:
    """Takes the place of the encoder and keeps the texts."""

    def __init__(self):
        self.texts = []

    def encode(self, text):
        self.texts.append(text)
        return ()


def corpus():
    for index in range(CONVERSATIONS):
        draw = Draw(f"tokenizer/{index}")
        made = conversation(draw) if index % 60 else long_conversation(draw)
        recorder = _Recorder()
        writer = Writer(recorder)
        writer.system(made.system, made.tools)
        for one in made.exchanges:
            writer.exchange(one, ALL)
        yield from recorder.texts
    for table in (about.GREETINGS, about.ABOUT):
        for answer, why, asked in table:
            yield from [answer, why, *asked] * 4


def closed_lists():
    """Words that become one token each: those of lists with and without a space in front, names and the like with it."""
    inside = words.NAMES + words.CITIES + words.ADJECTIVES + words.JOBS + facts.SMALL + facts.TENS + words.DAYS + words.MONTHS
    return sorted({*words.LIST_WORDS, *(" " + word for word in words.LIST_WORDS + inside)})
