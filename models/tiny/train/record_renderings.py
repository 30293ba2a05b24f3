"""Writes what jinja2 makes of `../chat_template.jinja` for the Java test `TinyTemplateTest`.

    python3 record_renderings.py      writes ../../../model/src/test/resources/tiny/renderings.json

Two kinds: the conversations of the template corpus in `model/src/test/resources/chat-templates`, as text; and
conversations of the generator, as text and as the ids that the model is trained on or asked with."""

import json

from dataset import encoder
from reference import messages_of, template
from render import render
from tasks.base import Draw
from tasks.mix import LAST, conversation
from tokenizer import FOLDER

RESOURCES = FOLDER.parent.parent / "model/src/test/resources"
GENERATED = 60


def with_call_ids(messages):
    number, waiting = 0, []
    for message in messages:
        for call in message.get("tool_calls") or []:
            number += 1
            call["id"] = f"call_{number}"
            waiting.append(call["id"])
        if message["role"] == "tool":
            message["tool_call_id"] = waiting.pop(0)
    return messages


def generated(compiled):
    """The first third whole, as in training; the others end with a generation prompt, thinking on and off."""
    for number in range(GENERATED):
        made = conversation(Draw(f"renderings/{number}", test=True))
        ids, _, kept = render(encoder(), made, 4096)
        one = {"messages": with_call_ids(messages_of(made, kept)), "tools": made.tools or None,
               "add_generation_prompt": number % 3 > 0, "truncate_history_thinking": made.thinking == LAST}
        if number % 3:
            one["messages"].pop()
            one["enable_thinking"] = number % 3 == 1
            ids = encoder().encode_template(compiled.render(one))
        yield f"generated {number}", {**one, "text": compiled.render(one), "ids": ids}


def main():
    compiled = template()
    corpus = json.loads((RESOURCES / "chat-templates/conversations.json").read_text())
    recorded = {"corpus": {name: compiled.render(one) for name, one in corpus.items()},
                "generated": dict(generated(compiled))}
    lines = [f"{json.dumps(kind)}: {{\n" + ",\n".join(f"{json.dumps(name)}: {json.dumps(value)}" for name, value in ones.items())
             + "\n}" for kind, ones in recorded.items()]
    (RESOURCES / "tiny/renderings.json").write_text("{\n" + ",\n".join(lines) + "\n}\n")
    print({kind: len(ones) for kind, ones in recorded.items()})


if __name__ == "__main__":
    main()
