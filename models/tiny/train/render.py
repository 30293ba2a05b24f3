"""Conversations as ids, the way `../chat_template.jinja` renders them; a test compares both on random conversations.

A token is trained on when the model has to say it: everything behind the generation prompt of an assistant turn, up to
and with the end of the turn."""

import json

from tokenizer import CALL, CALL_END, IM_END, IM_START, RESPONSE, RESPONSE_END, THINK, THINK_END
from tasks.mix import ALL, LAST, OFF

CALL_INSTRUCTION = "</tools>\nCall a tool where one fits, else answer."


def plain_or_json(value):
    return json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else str(value)


def declaration(tool):
    """One tool as the template shows it. Covers the schema keys that the generator makes."""
    function = tool["function"]
    lines = ["<function>", f"<name>{function['name']}</name>", f"<description>{function['description']}</description>",
             "<parameters>"]
    schema = function["parameters"]
    for name, fields in schema["properties"].items():
        lines += ["<parameter>", f"<name>{name}</name>", f"<type>{fields['type']}</type>"]
        if "description" in fields:
            lines.append(f"<description>{fields['description']}</description>")
        if "enum" in fields:
            lines.append(f"<enum>{plain_or_json(fields['enum'])}</enum>")
        lines += [f"<{key}>{plain_or_json(value)}</{key}>" for key, value in fields.items()
                  if key not in ("type", "description", "enum")]
        lines.append("</parameter>")
    if "required" in schema:
        lines.append(f"<required>{plain_or_json(schema['required'])}</required>")
    return "\n".join(lines + ["</parameters>", "</function>", ""])


class Writer:
    """Collects ids and, beside them, whether each is trained on."""

    def __init__(self, encoder):
        self.encoder = encoder
        self.ids = []
        self.weights = []

    def text(self, text, trained=0):
        """Text up to a control token or a line end: no piece reaches beyond either."""
        ids = self.encoder.encode(text)
        self.ids += ids
        self.weights += [trained] * len(ids)

    def control(self, token, trained=0):
        self.ids.append(token)
        self.weights.append(trained)

    def cut(self, length):
        del self.ids[length:], self.weights[length:]

    def system(self, text, tools):
        self.control(IM_START)
        if tools:
            text += ("\n\n" if text else "") + "# Tools\n<tools>\n" + "".join(map(declaration, tools)) + CALL_INSTRUCTION
        self.text("system\n" + text)
        self.end()

    def end(self, trained=0):
        self.control(IM_END, trained)
        self.text("\n")

    def user(self, text):
        self.control(IM_START)
        self.text("user\n" + text)
        self.end()

    def responses(self, texts):
        self.control(IM_START)
        self.text("user\n")
        for text in texts:
            self.control(RESPONSE)
            self.text("\n" + text + "\n")
            self.control(RESPONSE_END)
            self.text("\n")
        self.end()

    def assistant(self, message, thinking, trained):
        """`thinking`: the reasoning is shown. `trained`: 1 or 0."""
        self.control(IM_START)
        self.text("assistant\n")
        self.control(THINK)
        content, calls = message["content"] or "", message.get("tool_calls") or []
        if thinking:
            self.text("\n")
            self.text(message["reasoning_content"] + "\n", trained)
            self.control(THINK_END, trained)
            if content or calls:
                self.text("\n" + content, trained)
        else:
            self.control(THINK_END)
            self.text(("\n" if calls and not content else "") + content, trained)
        if content and calls:
            self.text("\n", trained)
        for name, arguments in calls:
            self.control(CALL, trained)
            lines = [f"\n<function={name}>"]
            for key, value in arguments.items():
                lines.append(f"<parameter={key}>\n{plain_or_json(value)}\n</parameter>")
            self.text("\n".join(lines) + "\n</function>\n", trained)
            self.control(CALL_END, trained)
            self.text("\n", trained)
        self.end(trained)

    def exchange(self, made, thinking):
        """`thinking`: which messages show their reasoning, as in a `Conversation`."""
        responses = []
        for message in made.messages:
            role = message["role"]
            if role == "tool":
                responses.append(message["content"])
                continue
            if responses:
                self.responses(responses)
                responses = []
            if role == "user":
                self.user(message["content"])
            else:
                shown = thinking == ALL or (thinking == LAST and message is made.messages[-1])
                self.assistant(message, shown, 1 if shown or not made.hard else 0)


def render(encoder, conversation, most_tokens):
    """Ids, weights and the exchanges of a conversation that fit into `most_tokens`: the last ones are left out. None when
    not even one fits."""
    writer = Writer(encoder)
    writer.system(conversation.system, conversation.tools)
    thinking = conversation.thinking
    starts = []
    for made in conversation.exchanges:
        starts.append(len(writer.ids))
        writer.exchange(made, ALL if thinking == ALL else OFF)
        if len(writer.ids) > most_tokens:
            break
    for kept in range(len(starts), 0, -1):
        if thinking == LAST:
            # only here is it known which exchange is the last: it shows its reasoning
            writer.cut(starts[kept - 1])
            writer.exchange(conversation.exchanges[kept - 1], LAST)
        if len(writer.ids) <= most_tokens:
            return writer.ids, writer.weights, conversation.exchanges[:kept]
        writer.cut(starts[kept - 1])
    return None
