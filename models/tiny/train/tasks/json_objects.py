"""JSON objects for a schema that the user states in words or as a JSON Schema."""

import json

from .base import decimal, exchange
from .words import ADJECTIVES, ANIMALS, CITIES, COLOURS, FOODS, HOBBIES, JOBS, LIST_WORDS, NAMES, THINGS, code, made_up

TEXT, WHOLE, DECIMAL, TRUTH, TEXTS = "string", "integer", "number", "boolean", "array of strings"


def _decimal(draw):
    return draw.choice([draw.randint(0, 99) + 0.5, decimal(draw, 0, 100), decimal(draw, 0, 10, 2)])


FIELDS = {
    "name": (TEXT, lambda d: d.choice(NAMES)), "city": (TEXT, lambda d: d.choice(CITIES)),
    "colour": (TEXT, lambda d: d.choice(COLOURS)), "color": (TEXT, lambda d: d.choice(COLOURS)),
    "animal": (TEXT, lambda d: d.choice(ANIMALS)), "food": (TEXT, lambda d: d.choice(FOODS)),
    "job": (TEXT, lambda d: d.choice(JOBS)), "hobby": (TEXT, lambda d: d.choice(HOBBIES)),
    "title": (TEXT, lambda d: f"The {d.choice(ADJECTIVES).capitalize()} {d.choice(THINGS).capitalize()}"),
    "author": (TEXT, lambda d: d.choice(NAMES)), "id": (TEXT, code), "code": (TEXT, code), "item": (TEXT, lambda d: d.choice(THINGS)),
    "product": (TEXT, lambda d: d.choice(THINGS)), "status": (TEXT, lambda d: d.choice(["open", "closed", "new", "done"])),
    "age": (WHOLE, lambda d: d.randint(1, 99)), "count": (WHOLE, lambda d: d.randint(0, 500)),
    "year": (WHOLE, lambda d: d.randint(1900, 2030)), "pages": (WHOLE, lambda d: d.randint(10, 999)),
    "floor": (WHOLE, lambda d: d.randint(-2, 40)), "quantity": (WHOLE, lambda d: d.randint(1, 50)),
    "price": (DECIMAL, _decimal), "weight": (DECIMAL, _decimal), "height": (DECIMAL, _decimal), "score": (DECIMAL, _decimal),
    "active": (TRUTH, lambda d: d.chance(0.5)), "married": (TRUTH, lambda d: d.chance(0.5)),
    "available": (TRUTH, lambda d: d.chance(0.5)), "open": (TRUTH, lambda d: d.chance(0.5)), "paid": (TRUTH, lambda d: d.chance(0.5)),
    "tags": (TEXTS, lambda d: d.sample(LIST_WORDS, d.randint(1, 4))), "items": (TEXTS, lambda d: d.sample(LIST_WORDS, d.randint(1, 4))),
    "friends": (TEXTS, lambda d: d.sample(NAMES, d.randint(1, 3))), "colours": (TEXTS, lambda d: d.sample(COLOURS, d.randint(1, 3))),
}
MAKERS = {TEXT: lambda d: d.choice(LIST_WORDS) if d.chance(0.5) else code(d), WHOLE: lambda d: d.randint(0, 999),
          DECIMAL: _decimal, TRUTH: lambda d: d.chance(0.5), TEXTS: lambda d: d.sample(LIST_WORDS, d.randint(1, 3))}

WORDS_HEAD = ["Make a JSON object with", "Give me a JSON object with", "Write a JSON object with", "Create a JSON object with",
              "Answer with a JSON object with", "I need a JSON object with", "Please write a JSON object with"]
SCHEMA_HEAD = ["Answer with a JSON object for this schema:", "Fill this JSON schema:", "Write JSON that fits this schema:",
               "Use this JSON schema:", "Reply with JSON only. Schema:", "Make an object of this schema:"]
DATA_HEAD = ["Data:", "Values:", "The data:", "Use these values:"]
TEXT_HEAD = ["Text:", "From this text:", "Extract from:", "The text:"]


def _fields(draw):
    """Name, type and value of two to five fields."""
    fields = {}
    for _ in range(draw.randint(1, 5)):
        if draw.chance(0.25):
            name, kind = made_up(draw), draw.choice([TEXT, TEXT, WHOLE, DECIMAL, TRUTH, TEXTS])
            fields[name] = (kind, MAKERS[kind](draw))
        else:
            name = draw.choice(list(FIELDS))
            kind, make = FIELDS[name]
            fields[name] = (kind, make(draw))
    return fields


def _shown(value, quoted):
    """A value as the user writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return json.dumps(value) if quoted else ", ".join(value)
    return json.dumps(value, ensure_ascii=False) if quoted else str(value)


def _schema(fields):
    def one(kind):
        return {"type": "array", "items": {"type": "string"}} if kind == TEXTS else {"type": kind}
    return {"type": "object", "properties": {name: one(kind) for name, (kind, _) in fields.items()},
            "required": list(fields)}


def dumped(value):
    """The one form in which JSON is written: a space behind commas and colons, all on one line."""
    return json.dumps(value, ensure_ascii=False)


def in_words(draw, fields):
    """The request in words. Where no type is stated, texts have quotation marks."""
    quoted = draw.chance(0.5)
    form = draw.randrange(4)
    if form == 0:
        listed = [f"{name} ({kind}) {_shown(value, quoted)}" for name, (kind, value) in fields.items()]
    elif form == 1:
        listed = [f"{name} = {_shown(value, True)}" for name, (_, value) in fields.items()]
    elif form == 2:
        listed = [f"the {kind} {name}: {_shown(value, quoted)}" for name, (kind, value) in fields.items()]
    else:
        lines = "\n".join(f"- {name} ({kind}): {_shown(value, quoted)}" for name, (kind, value) in fields.items())
        return f"{draw.choice(WORDS_HEAD)} these fields:\n{lines}"
    return f"{draw.choice(WORDS_HEAD)} " + "; ".join(listed) + "."


def by_schema(draw, fields):
    schema = _schema(fields)
    shown = list(fields.items())
    draw.shuffle(shown)
    data = "\n".join(f"{name}: {_shown(value, False)}" for name, (_, value) in shown)
    return f"{draw.choice(SCHEMA_HEAD)}\n{json.dumps(schema)}\n{draw.choice(DATA_HEAD)}\n{data}"


def json_object(draw):
    kind = draw.random()
    if kind < 0.25:
        return _from_text(draw)
    fields = draw.fresh(lambda: _fields(draw))
    asked = (in_words if kind < 0.65 else by_schema)(draw, fields)
    return exchange("json", asked, dumped({name: value for name, (_, value) in fields.items()}),
                    f"The keys are {', '.join(fields)}.")


# sentences that hold the values of an object, in the order of its keys
SENTENCES = [
    (["name", "age", "city"], "{name} is {age} years old and lives in {city}."),
    (["name", "job"], "{name} works as a {job}."),
    (["name", "city", "job"], "In {city} lives {name}, who is a {job}."),
    (["title", "author", "year"], "The book {title} was written by {author} in {year}."),
    (["title", "pages"], "{title} is a book of {pages} pages."),
    (["item", "price"], "The {item} costs {price} euros."),
    (["item", "price", "quantity"], "We sold {quantity} of the {item} for {price} euros each."),
    (["product", "weight", "colour"], "Our {product} is {colour} and weighs {weight} kilos."),
    (["name", "hobby", "food"], "{name} likes {hobby} and eats {food}."),
    (["name", "animal", "age"], "{name}, who is {age}, has a pet {animal}."),
]


def _from_text(draw):
    names, sentence, values = draw.fresh(lambda: (lambda one: (*one, [FIELDS[name][1](draw) for name in one[0]]))(
        draw.choice(SENTENCES)))
    fields = {name: (FIELDS[name][0], value) for name, value in zip(names, values)}
    text = sentence.format(**dict(zip(names, values)))
    if draw.chance(0.5):
        asked = f"{draw.choice(SCHEMA_HEAD)}\n{json.dumps(_schema(fields))}\n{draw.choice(TEXT_HEAD)} {text}"
    else:
        keys = ", ".join(f"{name} ({kind})" for name, (kind, _) in fields.items())
        asked = f"{draw.choice(WORDS_HEAD)} the keys {keys}. {draw.choice(TEXT_HEAD)} {text}"
    return exchange("json", asked, dumped(dict(zip(names, values))), f"The keys are {', '.join(names)}.")
