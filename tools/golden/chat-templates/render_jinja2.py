"""Renders the corpus with Python's jinja2, set up as transformers does it, and records the cases where
@huggingface/jinja (run render.mjs first) says something else: recorded/jinja2-differences.json.

The reasons in that file are written by hand and kept when it is renewed.
"""
import datetime
import json
import pathlib
import re
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
from jinja2.sandbox import ImmutableSandboxedEnvironment

CORPUS = pathlib.Path(__file__).resolve().parents[3] / "model/src/test/resources/chat-templates"
NOW = datetime.datetime(2024, 7, 6, 9, 5, 3)
SPECIAL_TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Generation(jinja2.ext.Extension):
    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("_run"), [], [], body).set_lineno(line)

    def _run(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


environment = ImmutableSandboxedEnvironment(
    trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
environment.filters["tojson"] = tojson
environment.globals["raise_exception"] = raise_exception
environment.globals["strftime_now"] = NOW.strftime


def render(template, variables):
    try:
        return {"text": environment.from_string(template).render(**{**SPECIAL_TOKENS, **variables})}
    except Exception as refused:  # whatever it is: the template cannot be rendered
        return {"error": str(refused)}


def load(name):
    return json.loads((CORPUS / name).read_text(encoding="utf-8"))


def constructs():
    parts = re.split(r"^=== (.+)\n", (CORPUS / "constructs.txt").read_text(encoding="utf-8"), flags=re.M)[1:]
    return {name: re.sub(r"\n\Z", "", template) for name, template in zip(parts[::2], parts[1::2])}


def cases():
    for name, template in constructs().items():
        yield "constructs", name, template, load("variables.json")
    conversations = load("conversations.json")
    for path in sorted((CORPUS / "templates").iterdir()):
        template = path.read_text(encoding="utf-8")
        for name, variables in conversations.items():
            yield path.stem, name, template, variables


def main():
    target = CORPUS / "recorded/jinja2-differences.json"
    known = json.loads(target.read_text(encoding="utf-8")) if target.exists() else {}
    recorded = {}
    differences = {}
    for group, name, template, variables in cases():
        if group not in recorded:
            recorded[group] = load(f"recorded/{group}.json")
        result = render(template, variables)
        if result.get("text") != recorded[group][name].get("text"):
            key = f"{group}/{name}"
            differences[key] = {**result, "reason": known.get(key, {}).get("reason", "")}
    target.write_text(json.dumps(differences, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    print(f"jinja2 {jinja2.__version__}, Python {sys.version.split()[0]}: {len(differences)} differences")


if __name__ == "__main__":
    main()
