"""Copying, reversing, sorting, counting and picking from short lists, and counting up and down."""

from .base import casual, exchange
from .facts import number_word
from .words import LETTERS, LIST_WORDS, NAMES, ODD_CHARACTERS, SYMBOLS, code, made_up

ORDINALS = ["first", "second", "third", "fourth", "fifth", "sixth", "seventh", "eighth", "ninth", "tenth"]


def _items(draw, least, most, repeats=False):
    """A list of one kind of items, as text."""
    count = draw.randint(least, most)
    kind = draw.random()
    if kind < 0.45:
        pool = LIST_WORDS
    elif kind < 0.6:
        pool = NAMES
    elif kind < 0.75:
        pool = LETTERS
    elif kind < 0.92:
        limit = draw.choice([9, 99, 99, 999])
        return [str(draw.randint(0, limit)) for _ in range(count)] if repeats or limit < count \
            else [str(number) for number in draw.sample(range(limit + 1), count)]
    else:
        return [made_up(draw) for _ in range(count)]
    return [draw.choice(pool) for _ in range(count)] if repeats else draw.sample(pool, count)


def _separator(draw):
    return draw.choice([", ", ", ", ", ", " ", " ", "; ", "\n"])


# --- copy ---

COPY = ["Repeat: {}", "Repeat after me: {}", "Copy this: {}", "Copy this text exactly: {}", "Say: {}", "Write exactly this: {}",
        "Echo: {}", "Please repeat this: {}", "Copy the following text:\n{}", "Repeat the following:\n{}",
        "Say this again: {}", "Write this down again: {}", "Return this text unchanged: {}", "Print: {}",
        "Please copy:\n{}"]


def _odd(draw):
    """A random string: codes, symbols, digits, a letter from beyond ASCII now and then."""
    pieces = []
    for _ in range(draw.randint(1, 5)):
        kind = draw.random()
        if kind < 0.35:
            pieces.append(code(draw))
        elif kind < 0.6:
            pieces.append(made_up(draw))
        elif kind < 0.75:
            pieces.append("".join(draw.choice(SYMBOLS) for _ in range(draw.randint(1, 3))))
        elif kind < 0.9:
            pieces.append(draw.choice(LIST_WORDS))
        else:
            word = draw.choice(LIST_WORDS)
            at = draw.randint(0, len(word))
            pieces.append(word[:at] + draw.choice(ODD_CHARACTERS) + word[at:])
    return draw.choice([" ", " ", "", "-"]).join(pieces)


def _sentence(draw):
    """A sentence of random words: nothing but copying predicts it."""
    words = [draw.choice(LIST_WORDS) for _ in range(draw.randint(3, 12))]
    return " ".join(words).capitalize() + draw.choice([".", "!", "?", ""])


def copy(draw):
    def make():
        kind = draw.random()
        if kind < 0.4:
            return _odd(draw)
        if kind < 0.7:
            return _sentence(draw)
        return _separator(draw).join(_items(draw, 3, 10, repeats=True))
    text = draw.fresh(make)
    return exchange("copy", draw.choice(COPY).format(text), text, "I copy the text.")


# --- reverse ---

REVERSE = ["Reverse this list: {}", "Reverse: {}", "Write this list backwards: {}", "Write these in reverse order: {}",
           "Turn this list around: {}", "Give me this list from the last to the first: {}", "Reverse the order: {}",
           "Please reverse this list:\n{}"]


def reverse(draw):
    items = draw.fresh(lambda: _items(draw, 3, 9))
    between = _separator(draw)
    return exchange("reverse", draw.choice(REVERSE).format(between.join(items)), between.join(reversed(items)),
                    f"The list has {len(items)} items. The last one, {items[-1]}, comes first.")


# --- sort ---

SORT_NUMBERS = ["Sort these numbers: {}", "Sort: {}", "Put these numbers in order: {}", "Order from small to large: {}",
                "Sort the numbers from smallest to largest: {}", "Sort in ascending order: {}", "Please sort:\n{}"]
SORT_DOWN = ["Sort in descending order: {}", "Sort from largest to smallest: {}", "Order from large to small: {}",
             "Sort these numbers, the largest first: {}"]
SORT_WORDS = ["Sort alphabetically: {}", "Put these words in alphabetical order: {}", "Sort these words: {}", "Sort: {}",
              "Sort from a to z: {}", "Order these words by the alphabet: {}", "Sort this list: {}"]


def sort(draw):
    def make():
        kind = draw.randrange(4)
        if kind == 0:
            return [str(n) for n in draw.sample(range(1000 if draw.chance(0.3) else 100), draw.randint(3, 8))]
        if kind == 1:
            return [str(n) for n in draw.sample(range(10), draw.randint(3, 8))]
        if kind == 2:
            return draw.sample(LETTERS, draw.randint(3, 9))
        return draw.sample(LIST_WORDS, draw.randint(3, 7))
    items = draw.fresh(make)
    between = draw.choice([", ", ", ", " "])
    if items[0].isdigit():
        down = draw.chance(0.3)
        asked, right = draw.choice(SORT_DOWN if down else SORT_NUMBERS), sorted(items, key=int, reverse=down)
        why = f"The {'largest' if down else 'smallest'} is {right[0]}, the {'smallest' if down else 'largest'} is {right[-1]}."
    else:
        asked, right = draw.choice(SORT_WORDS), sorted(items)
        why = f"In the alphabet {right[0]} is first and {right[-1]} is last."
    return exchange("sort", asked.format(between.join(items)), between.join(right), why)


# --- count ---

COUNT_ALL = ["How many items are in this list: {}?", "Count the items: {}", "How many words are there: {}?",
             "How long is this list: {}?", "Count these: {}", "How many things are in the list {}?"]
COUNT_ONE = ["How many times does {1} occur in this list: {0}?", "How often is {1} in this list: {0}?", "Count {1} in: {0}",
             "How many times do you see {1} here: {0}?"]


def count(draw):
    if draw.chance(0.6):
        items = draw.fresh(lambda: _items(draw, 2, 10, repeats=draw.chance(0.3)))
        text = draw.choice([", ", ", ", " "]).join(items)
        return exchange("count", draw.choice(COUNT_ALL).format(text), str(len(items)),
                        ", ".join(f"{at} {item}" for at, item in enumerate(items, 1)))

    def make():
        few = draw.sample(LIST_WORDS, draw.randint(2, 3))
        return [draw.choice(few) for _ in range(draw.randint(4, 10))], draw.choice(few)
    items, wanted = draw.fresh(make)
    seen, steps = 0, []
    for item in items:
        seen += item == wanted
        steps.append(f"{item} {seen}")
    return exchange("count", draw.choice(COUNT_ONE).format(draw.choice([", ", " "]).join(items), wanted), str(seen),
                    ", ".join(steps))


# --- pick ---

PICK_AT = ["What is the {1} item of this list: {0}?", "What is the {1} word: {0}?", "Give me the {1} one of: {0}",
           "Which one is {1} in this list: {0}?", "Name the {1} item: {0}"]
PICK_MOST = {True: ["What is the largest number: {}?", "Which number is the largest: {}?", "Find the maximum: {}",
                    "Give me the largest of: {}"],
             False: ["What is the smallest number: {}?", "Which number is the smallest: {}?", "Find the minimum: {}",
                     "Give me the smallest of: {}"]}
PICK_NEXT = ["Which word comes after {1} in this list: {0}?", "What follows {1} here: {0}?", "What is next to {1}: {0}?"]
CONTAINS = ["Is {1} in this list: {0}?", "Does this list contain {1}: {0}?", "Do you see {1} here: {0}?"]


def pick(draw):
    kind = draw.randrange(4)
    if kind == 0:
        numbers = draw.fresh(lambda: draw.sample(range(100), draw.randint(3, 7)))
        top = draw.chance(0.5)
        best = max(numbers) if top else min(numbers)
        return exchange("pick", draw.choice(PICK_MOST[top]).format(", ".join(map(str, numbers))), str(best),
                        f"The {'largest' if top else 'smallest'} of them is {best}.")
    items = draw.fresh(lambda: _items(draw, 4, 9))
    text = draw.choice([", ", ", ", " "]).join(items)
    if kind == 1:
        at = draw.randrange(-1, len(items))
        name = "last" if at == -1 else ORDINALS[at]
        return exchange("pick", draw.choice(PICK_AT).format(text, name), items[at], f"The {name} item is {items[at]}.")
    if kind == 2:
        at = draw.randrange(len(items) - 1)
        return exchange("pick", draw.choice(PICK_NEXT).format(text, items[at]), items[at + 1],
                        f"After {items[at]} comes {items[at + 1]}.")
    inside = draw.chance(0.5)
    wanted = draw.choice(items) if inside else draw.choice(LIST_WORDS)
    inside = wanted in items
    return exchange("pick", draw.choice(CONTAINS).format(text, wanted),
                    f"Yes, {wanted} is in the list." if inside else f"No, {wanted} is not in the list.",
                    f"I look for {wanted} in the list.")


# --- sequence and form ---

UP = ["Count from {} to {}.", "Count from {} up to {}.", "Write the numbers from {} to {}.", "List the numbers from {} to {}.",
      "Give me all numbers from {} to {}."]
SAY = ["Say only the word {}.", "Answer only with the word {}.", "Say {} and nothing else.", "Reply with {}.",
       "Just say {}.", "Please answer with the single word {}."]
TIMES = ["Write the word {0} {1} times.", "Say {0} {1} times.", "Repeat the word {0} {1} times.", "Print {0} {1} times."]
JOIN = ["Join these words with {1}: {0}", "Write these words with {1} between them: {0}", "Put {1} between these: {0}"]
JOINERS = [("a comma", ", "), ("a dash", "-"), ("a space", " "), ("a slash", "/"), ("a plus sign", "+")]


def sequence(draw):
    kind = draw.randrange(6)
    if kind < 2:
        def make():
            start = draw.randint(0, 40)
            return start, start + draw.randint(3, 12)
        low, high = draw.fresh(make)
        if kind == 1 and draw.chance(0.6):
            return exchange("sequence", f"Count {draw.choice(['down ', 'backwards '])}from {high} to {low}.",
                            ", ".join(map(str, range(high, low - 1, -1))), f"I start with {high} and stop at {low}.")
        words = draw.chance(0.15)
        asked = casual(draw, draw.choice(UP).format(low, high))
        shown = (number_word(n) for n in range(low, high + 1)) if words else map(str, range(low, high + 1))
        return exchange("sequence", asked + (" Write them as words." if words else ""), ", ".join(shown),
                        f"I start with {low} and stop at {high}.")
    word = draw.fresh(lambda: made_up(draw) if draw.chance(0.2) else draw.choice(LIST_WORDS))
    if kind == 2:
        return exchange("sequence", draw.choice(SAY).format(word), word, f"I say {word}.")
    if kind == 3:
        times = draw.randint(2, 6)
        shown = number_word(times) if draw.chance(0.5) else str(times)
        return exchange("sequence", draw.choice(TIMES).format(word, shown), " ".join([word] * times),
                        f"I write {word} {times} times.")
    items = draw.fresh(lambda: draw.sample(LIST_WORDS, draw.randint(3, 6)))
    if kind == 4:
        name, joiner = draw.choice(JOINERS)
        return exchange("sequence", draw.choice(JOIN).format(" ".join(items), name), joiner.join(items),
                        f"I write {name} between the words.")
    return exchange("sequence", f"Write this list as lines that start with a dash: {', '.join(items)}",
                    "\n".join("- " + item for item in items), "I write one line for each item.")
