"""The chat template through jinja2, the way the publisher's tools render it. For tests and recordings; training uses
`render.py`."""

import json

import jinja2

from tokenizer import FOLDER
from tasks.mix import LAST, OFF


def template():
    environment = jinja2.Environment()
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    return environment.from_string((FOLDER / "chat_template.jinja").read_text())


def messages_of(conversation, exchanges):
    """OpenAI messages; arguments as objects, as a template gets them. In a LAST conversation the template truncates the
    reasoning in front of the last user message; what comes behind it is left out here, but for the last message."""
    messages = [{"role": "system", "content": conversation.system}] if conversation.system else []
    for made in exchanges:
        for original in made.messages:
            message = dict(original)
            if "tool_calls" in message:
                message["tool_calls"] = [{"type": "function", "function": {"name": name, "arguments": arguments}}
                                         for name, arguments in message["tool_calls"]]
            last = made is exchanges[-1] and original is made.messages[-1]
            if conversation.thinking == OFF or (conversation.thinking == LAST and made is exchanges[-1] and not last):
                message.pop("reasoning_content", None)
            messages.append(message)
    return messages


def rendered(compiled, conversation, exchanges):
    return compiled.render(messages=messages_of(conversation, exchanges), tools=conversation.tools, add_generation_prompt=False,
                           truncate_history_thinking=conversation.thinking == LAST)
