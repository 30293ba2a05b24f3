"""Conversations with declared tools: one call, two calls at once, none that fits, and the answer from a response."""

from .base import Exchange, called, casual, said
from .tool_pool import TOOLS, made_up_tool, response_text, shown

NO_TOOL = "I am sorry, I have no tool for that."
JOINED = ["{} {}", "{} And then: {}", "{} Also: {}", "Two things: {} {}"]


def declared(draw):
    """One to four tools: everyday ones, made-up ones, or both."""
    count = draw.choice([1, 1, 2, 2, 3, 4])
    tools = {}
    share = draw.choice([0.0, 0.2, 1.0])
    while len(tools) < count:
        tool = made_up_tool(draw) if draw.chance(share) else draw.choice(TOOLS)
        tools[tool.name] = tool
    return list(tools.values())


class Wanted:
    """A call that the user wants: the tool, its arguments, the words for it."""

    def __init__(self, draw, tool):
        self.tool = tool
        form, self.arguments = draw.fresh(lambda: (
            draw.randrange(len(tool.asked)), {one.name: one.make(draw) for one in tool.parameters}))
        self.asked = tool.asked[form].format(**{key: shown(value) for key, value in self.arguments.items()})
        self.response, self.answer = tool.reply(draw, {key: shown(value) for key, value in self.arguments.items()})

    @property
    def call(self):
        return self.tool.name, self.arguments


def one_call(draw, tools, answered=None):
    """One call of one of the tools, mostly with its response and the answer from it."""
    wanted = Wanted(draw, draw.choice(tools))
    answered = draw.chance(0.75) if answered is None else answered
    messages = [{"role": "user", "content": casual(draw, wanted.asked) if len(wanted.tool.asked) > 1 else wanted.asked},
                called([wanted.call], wanted.tool.reason())]
    return _answered(messages, [wanted]) if answered else Exchange("tool-call", messages)


def two_calls(draw, tools, answered=None):
    """Two calls at once, of one tool or of two."""
    first = Wanted(draw, draw.choice(tools))
    second = Wanted(draw, draw.choice(tools))
    answered = draw.chance(0.6) if answered is None else answered
    asked = draw.choice(JOINED).format(first.asked, second.asked)
    messages = [{"role": "user", "content": asked},
                called([first.call, second.call],
                       f"Two calls are needed: {first.tool.name} and {second.tool.name}.")]
    return _answered(messages, [first, second]) if answered else Exchange("tool-two-calls", messages)


def _answered(messages, wanted):
    for one in wanted:
        messages.append({"role": "tool", "content": response_text(one.response)})
    messages.append(said(" ".join(one.answer for one in wanted), "I answer from the response."))
    return Exchange("tool-answer", messages)


def no_fit(draw, tools):
    """A wish that only a tool could fulfil, and not one of these."""
    names = {tool.name for tool in tools}
    while True:
        tool = draw.choice(TOOLS)
        if tool.name not in names:
            break
    wanted = Wanted(draw, tool)
    return Exchange("tool-none", [{"role": "user", "content": casual(draw, wanted.asked)},
                                  said(NO_TOOL, "None of the tools fits.")])
