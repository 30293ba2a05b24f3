"""Chains exchanges into conversations.

A conversation is a system text, tools, exchanges and a way to think. What an exchange costs and teaches is up to its task;
this file only decides what follows what. `base` keeps a conversation within 1,024 tokens. `long`, the last phase, has a
quarter of its tokens in conversations of 1,024 to 4,096, and among the others more of what is learnt last: looking up in
lists, and what tools can do and cannot."""

from typing import NamedTuple

from . import about, arithmetic, facts, json_objects, lists, recall, tool_use
from .base import Exchange
from .memory import Memory
from .tool_pool import made_up_tool

SYSTEMS = ["You are a helpful assistant.", "You are a helpful assistant.", "Be brief.", "You are Sidewinder.",
           "Answer as shortly as you can.", "You are a friendly assistant.", "Help the user.", "You answer questions.",
           "You are a small language model.", "Be polite and exact.", "You are a helpful and honest assistant.",
           "Follow the instructions of the user.", "You are an assistant that can call tools."]

OFF, LAST, ALL = "off", "last", "all"


class Conversation(NamedTuple):
    """`thinking`: OFF, LAST (only the last message shows its reasoning: clients send the history without it, or the
    template truncates it) or ALL (the history has it, and the template's truncate_history_thinking is false)."""

    system: str
    tools: list
    exchanges: list[Exchange]
    thinking: str



def _wish(draw):
    """A wish that would need a tool, where there is none."""
    return tool_use.no_fit(draw, [])


# What a single exchange may be, and how often.
SINGLES = [(about.greeting, 6), (about.about, 12), (about.unknown, 3), (facts.fact, 22), (arithmetic.plain, 9),
           (lists.copy, 15), (lists.reverse, 7), (lists.sort, 6), (lists.count, 5), (lists.pick, 4), (lists.sequence, 5),
           (json_objects.json_object, 10), (_wish, 1)]
# With thinking on, sums that need it.
THOUGHTFUL = [(make, weight) for make, weight in SINGLES if make is not arithmetic.plain] + [(arithmetic.thoughtful, 34)]
# What stands between two things to remember.
SHORT = [(about.greeting, 4), (about.about, 3), (about.unknown, 1), (facts.fact, 6), (arithmetic.plain, 3),
         (lists.sequence, 1), (lists.copy, 1)]
# The same where tools are declared: nothing that sounds as if a tool could know it.
BESIDE_TOOLS = [(make, weight) for make, weight in SHORT if make is not about.unknown]


def one_of(draw, table):
    """Draws from functions that have weights."""
    return draw.choices(*zip(*table))[0](draw)


def system_text(draw):
    return "" if draw.chance(0.75) else draw.choice(SYSTEMS)


def _thinking(draw):
    return draw.choices([OFF, LAST, ALL], [60, 14, 26])[0]


def _singles(draw, thinking, count):
    """Exchanges that do not hang together. Hard ones stand where their reasoning is visible."""
    made = []
    for number in range(count):
        visible = thinking == ALL or (thinking == LAST and number == count - 1)
        made.append(one_of(draw, THOUGHTFUL if visible else SINGLES))
    return made


def single(draw):
    thinking = _thinking(draw)
    return Conversation(system_text(draw), [], _singles(draw, thinking, 1), thinking)


def several(draw):
    thinking = _thinking(draw)
    return Conversation(system_text(draw), [], _singles(draw, thinking, draw.randint(2, 9)), thinking)


def remembering(draw, least=3, most=10):
    """Things said and asked for, with other turns between them; the last turn asks."""
    memory, made = Memory(draw), []
    if draw.chance(0.3):
        made.append(about.greeting(draw))
    if draw.chance(0.95):
        made.append(memory.told())
    for _ in range(draw.randint(least, most)):
        kind = draw.random()
        made.append(memory.told() if kind < 0.3 else memory.asked() if kind < 0.65 else one_of(draw, SHORT))
    made.append(memory.asked())
    return Conversation(system_text(draw), [], made, _thinking(draw))


def with_tools(draw, least=2, most=8):
    tools = tool_use.declared(draw)
    thinking = _thinking(draw)
    made = []
    for _ in range(draw.randint(least, most)):
        kind = draw.random()
        if kind < 0.5:
            made.append(tool_use.one_call(draw, tools))
        elif kind < 0.68:
            made.append(tool_use.two_calls(draw, tools))
        elif kind < 0.8:
            made.append(tool_use.no_fit(draw, tools))
        else:
            made.append(one_of(draw, BESIDE_TOOLS)._replace(task="tool-none"))
        if made[-1].messages[-1]["content"] is None:
            break  # nothing can follow a call that has no response
    return Conversation(system_text(draw), [tool.declaration() for tool in tools], made, thinking)


def with_made_up_tools(draw):
    """Calls of tools that only their declarations tell about."""
    tools = list({tool.name: tool for tool in (made_up_tool(draw) for _ in range(draw.randint(1, 3)))}.values())
    made = [draw.choices([tool_use.one_call, tool_use.two_calls], [80, 20])[0](draw, tools, answered=True)
            for _ in range(draw.randint(0, 3))]
    made.append(tool_use.one_call(draw, tools, answered=draw.chance(0.3)))
    return Conversation(system_text(draw), [tool.declaration() for tool in tools], made, _thinking(draw))


def with_tools_or_none(draw):
    """One or two wishes; four of ten fit no tool."""
    tools = tool_use.declared(draw)
    thinking = _thinking(draw)
    made = []
    for _ in range(draw.randint(1, 2)):
        make = tool_use.no_fit if draw.chance(0.4) else tool_use.two_calls if draw.chance(0.3) else tool_use.one_call
        made.append(make(draw, tools))
        if made[-1].messages[-1]["content"] is None:
            break
    return Conversation(system_text(draw), [tool.declaration() for tool in tools], made, thinking)


def with_hard_list(draw, most_lines=40):
    """Lists of every length alike, with more questions above the list and about what is not in it."""
    made = recall.key_list(draw, draw.randint(2, most_lines), draw.randint(1, 6), missing=0.15, before=0.35)
    return Conversation(system_text(draw), [], made, _thinking(draw))


def with_list(draw, most_lines=40):
    lines = min(draw.randint(2, most_lines), draw.randint(2, most_lines))
    made = recall.key_list(draw, lines, draw.randint(1, 9))
    return Conversation(system_text(draw), [], made, _thinking(draw))


def with_phrase(draw, most_sentences=60):
    sentences = min(draw.randint(1, most_sentences), draw.randint(1, most_sentences))
    if draw.chance(0.2):
        made = recall.passphrase_later(draw, sentences)
    else:
        made = [recall.passphrase(draw, sentences)]
    return Conversation(system_text(draw), [], made, _thinking(draw))


def long_list(draw):
    lines = draw.randint(100, 420)
    made = recall.key_list(draw, lines, draw.randint(6, 24))
    return Conversation(system_text(draw), [], made, _thinking(draw))


def long_phrase(draw):
    sentences = draw.randint(90, 330)
    made = recall.passphrase_later(draw, sentences) if draw.chance(0.2) else [recall.passphrase(draw, sentences)]
    return Conversation(system_text(draw), [], made, _thinking(draw))


def long_chat(draw):
    if draw.chance(0.6):
        return remembering(draw, 50, 120)
    thinking = _thinking(draw)
    return Conversation(system_text(draw), [], _singles(draw, thinking, draw.randint(30, 80)), thinking)


BASE = [(single, 28), (several, 34), (remembering, 10), (with_tools, 11), (with_list, 8), (with_phrase, 4)]
LATE = [(single, 15), (several, 20), (remembering, 8), (with_tools, 10), (with_tools_or_none, 12), (with_made_up_tools, 14),
        (with_list, 4), (with_hard_list, 14), (with_phrase, 3)]
LONG = [(long_list, 1), (long_phrase, 1), (long_chat, 1)]


def conversation(draw):
    """One of the base phase."""
    return one_of(draw, BASE)


def late_conversation(draw):
    """One of the last phase that is not long."""
    return one_of(draw, LATE)


def long_conversation(draw):
    return one_of(draw, LONG)
