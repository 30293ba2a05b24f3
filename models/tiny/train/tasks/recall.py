"""Recall over a distance: a key from a list of lines, a pass phrase from filler text."""

from .base import an, casual, exchange
from .words import (ADJECTIVES, ANIMALS, CITIES, COLOURS, FOODS, HOBBIES, JOBS, LIST_WORDS, NAMES, PHRASE_WORDS, THINGS, code,
                    made_up)

# --- key-value lists ---

KEY_ASKED = ["What is the value of {}?", "Which value does {} have?", "What is {}?", "Give me the value of {}.", "Look up {}.",
             "Tell me the value of {}.", "What stands behind {}?", "{}?", "Find {}.", "And {}?", "What about {}?"]
LIST_HEADS = ["Here is a list:", "Remember this list:", "This is a list of keys and values:", "Here are some values:",
              "Read this table:", "Settings:", "Keep this list in mind:", "I have this list:"]
LIST_TAKEN = "I have read the list."
LINE_FORMS = ["{}: {}", "{}: {}", "{} = {}", "{} -> {}", "- {}: {}", "{} is {}", "{}\t{}"]
MISSING = "{} is not in the list."


def _names(draw, count):
    """Distinct keys of one kind."""
    kind = draw.randrange(6)
    if kind == 0 and count <= 40:
        return draw.sample(NAMES, count)
    if kind == 1:
        return draw.sample(LIST_WORDS, count) if count <= len(LIST_WORDS) else _names(draw, count)
    if kind == 2:
        stem = draw.choice(["key", "item", "row", "field", "slot", "room", "part"])
        return [f"{stem}-{n}" for n in draw.sample(range(1, max(100, 2 * count)), count)]
    make = [made_up, code, lambda source: draw.choice(ADJECTIVES) + "_" + draw.choice(THINGS)][kind % 3]
    found = {}
    while len(found) < count:
        found[make(draw)] = None
    return list(found)


def _values(draw, count):
    kind = draw.randrange(6)
    if kind == 0:
        return [draw.choice(COLOURS) for _ in range(count)]
    if kind == 1:
        return [str(draw.randint(0, draw.choice([9, 99, 999, 9999]))) for _ in range(count)]
    if kind == 2:
        return [code(draw) for _ in range(count)]
    if kind == 3:
        return [made_up(draw) for _ in range(count)]
    if kind == 4:
        return [draw.choice(CITIES) for _ in range(count)]
    return [draw.choice(LIST_WORDS) for _ in range(count)]


def key_list(draw, lines, questions, missing=0.06, before=0.2):
    """A list of `lines` lines and questions about it: the first with the list or behind it, the others in later turns.

    `missing`: how often a question is about a key that is not there; `before`: how often the first stands above the list."""
    def make():
        return list(zip(_names(draw, lines), _values(draw, lines)))
    pairs = draw.fresh(make)
    form = draw.choice(LINE_FORMS)
    text = "\n".join(form.format(key, value) for key, value in pairs)
    head = draw.choice(LIST_HEADS)
    exchanges = []
    opening = f"{head}\n{text}"
    if draw.chance(0.25):
        exchanges.append(exchange("key-recall", opening, LIST_TAKEN, "The user gives me a list."))
        opening = None
    for number in range(questions):
        if draw.chance(missing):
            key = made_up(draw)
            value = dict(pairs).get(key)
        else:
            key, value = draw.choice(pairs)
        asked = draw.choice(KEY_ASKED[:-2] if opening or number == 0 else KEY_ASKED).format(key)
        if opening:
            asked = f"{asked}\n\n{text}" if draw.chance(before) else f"{opening}\n\n{asked}"
            opening = None
        exchanges.append(exchange("key-recall", asked, MISSING.format(key) if value is None else value,
                                  f"I look for {key} in the list."))
    return exchanges


# --- filler text ---

PLACES = ["in the garden", "near the river", "behind the old mill", "under the bridge", "at the station", "on the hill",
          "by the lake", "in the kitchen", "at the market", "next to the church", "in the library", "on the roof",
          "beside the road", "at the harbor", "in the valley", "inside the barn", "over the field", "in the attic"]
TIMES = ["In the morning", "At noon", "In the evening", "Last week", "Every day", "On Monday", "On Sunday", "In winter",
         "In summer", "After lunch", "Before dinner", "At night", "Yesterday", "Once a year", "In spring", "Many years ago"]
DOES = ["sleeps", "waits", "works", "stands", "sits", "rests", "plays", "hides", "sings", "walks", "lives", "reads"]
DID = ["found", "lost", "painted", "sold", "bought", "repaired", "carried", "washed", "forgot", "dropped", "saw", "kept",
       "borrowed", "cleaned", "opened", "closed"]
FORMS = [
    lambda d: f"The {d.choice(ADJECTIVES)} {d.choice(ANIMALS)} {d.choice(DOES)} {d.choice(PLACES)}.",
    lambda d: f"{d.choice(TIMES)} {d.choice(NAMES)} {d.choice(DID)} {an(d.choice(THINGS))} {d.choice(PLACES)}.",
    lambda d: f"{d.choice(NAMES)} is {an(d.choice(JOBS))} and likes {d.choice(HOBBIES)}.",
    lambda d: f"The {d.choice(THINGS)} {d.choice(PLACES)} is {d.choice(ADJECTIVES)} and {d.choice(ADJECTIVES)}.",
    lambda d: f"There is {an(d.choice(COLOURS))} {d.choice(THINGS)} {d.choice(PLACES)}.",
    lambda d: f"{d.choice(NAMES)} and {d.choice(NAMES)} went to {d.choice(CITIES)} by train.",
    lambda d: f"{d.choice(TIMES)} they eat {d.choice(FOODS)} with {d.choice(FOODS)}.",
    lambda d: f"Nobody knows why the {d.choice(JOBS)} {d.choice(DID)} the {d.choice(THINGS)}.",
    lambda d: f"It was {d.choice(ADJECTIVES)} and {d.choice(ADJECTIVES)} {d.choice(PLACES)}.",
    lambda d: f"{an(d.choice(ANIMALS)).capitalize()} and {an(d.choice(ANIMALS))} {d.choice(DOES)[:-1]} {d.choice(PLACES)}.",
    lambda d: f"In {d.choice(CITIES)} you can buy {an(d.choice(ADJECTIVES))} {d.choice(THINGS)}.",
    lambda d: f"The {d.choice(JOBS)} said that the {d.choice(THINGS)} was too {d.choice(ADJECTIVES)}.",
]


def filler(draw, sentences):
    return [draw.choice(FORMS)(draw) for _ in range(sentences)]


# --- pass phrase ---

PHRASE_SAID = ["The pass phrase is {}.", "Remember this: the pass phrase is {}.", "The secret pass phrase is {}.",
               "Note that the pass phrase is {}.", "By the way, the pass phrase is {}.",
               "The pass phrase of today is {}."]
PHRASE_ASKED = ["What is the pass phrase?", "Tell me the pass phrase.", "Which pass phrase is in the text?",
                "What is the pass phrase in this text?", "Find the pass phrase.", "Do you remember the pass phrase?",
                "Give me the pass phrase."]


def phrase(draw):
    words = [draw.choice(PHRASE_WORDS) for _ in range(draw.randint(2, 3))]
    if draw.chance(0.3):
        words.append(str(draw.randint(1, 99)))
    return " ".join(words)


def hidden_phrase(draw, sentences):
    """A pass phrase somewhere in `sentences` sentences of filler; returns the user's text and the phrase."""
    secret = draw.fresh(lambda: phrase(draw))
    text = filler(draw, sentences)
    text.insert(draw.randint(0, sentences), draw.choice(PHRASE_SAID).format(secret))
    if len(text) > 8 and draw.chance(0.5):
        for at in range(5, len(text), 6):
            text[at] = "\n" + text[at]
        text = " ".join(text).replace(" \n", "\n")
    else:
        text = " ".join(text)
    asked = draw.choice(PHRASE_ASKED)
    return (f"{asked}\n\n{text}" if draw.chance(0.2) else f"{text}\n\n{asked}"), secret


PHRASE_ANSWER = "The pass phrase is {}."


def passphrase(draw, sentences):
    text, secret = hidden_phrase(draw, sentences)
    return exchange("passphrase", text, PHRASE_ANSWER.format(secret), "I look for the pass phrase in the text.")


def passphrase_later(draw, sentences):
    """The phrase is said first, the filler comes in a message of its own, the question last."""
    secret = draw.fresh(lambda: phrase(draw))
    first = draw.choice(PHRASE_SAID).format(secret)
    told = exchange("passphrase", first, "I will remember the pass phrase.", "The user tells me the pass phrase.")
    read = exchange("passphrase", "Read this text: " + " ".join(filler(draw, sentences)), "I have read the text.",
                    "The user wants me to read a text.")
    asked = exchange("passphrase", casual(draw, draw.choice(PHRASE_ASKED[:2] + PHRASE_ASKED[5:])),
                     PHRASE_ANSWER.format(secret), "I look for the pass phrase in the chat.")
    return [told, read, asked]
