"""Small sums. With thinking on the reasoning works column by column, the way it is done on paper."""

from .base import Exchange, casual, exchange
from .words import FRUITS, NAMES

ASKED = ["What is {}?", "Compute {}.", "Calculate {}.", "How much is {}?", "{} = ?", "{}", "Solve {}.", "What does {} make?",
         "Please compute {}.", "Tell me what {} is.", "What's {}?", "Can you calculate {}?", "I need the result of {}.",
         "Work out {}."]
IN_WORDS = {"+": "plus", "-": "minus", "*": "times"}
PLURALS = {"cherry": "cherries", "mango": "mangos", "berry": "berries", "peach": "peaches"}
COUNTED = [PLURALS.get(fruit, fruit + "s") for fruit in FRUITS] + ["books", "coins", "pens", "cards", "stones", "cups"]


def add_columns(a, b):
    """The lines that add two numbers, ones first, each with what is written and what is carried."""
    width = max(len(str(a)), len(str(b)))
    top, bottom = str(a).zfill(width), str(b).zfill(width)
    lines, carry = [f"{top} + {bottom}"], 0
    for at in reversed(range(width)):
        x, y = int(top[at]), int(bottom[at])
        total = x + y + carry
        terms = f"{x} + {y}" + (" + 1" if carry else "")
        carry = total // 10
        lines.append(f"{terms} = {total}, write {total % 10}" + (", carry 1" if carry else ""))
    if carry:
        lines.append("write 1")
    return lines


def subtract_columns(a, b):
    """The lines that take b from a, which is not less."""
    width = len(str(a))
    top, bottom = str(a), str(b).zfill(width)
    lines, borrow = [f"{top} - {bottom}"], 0
    for at in reversed(range(width)):
        x, y = int(top[at]), int(bottom[at])
        less = " - 1" if borrow else ""
        if x - y - borrow < 0:
            lines.append(f"{x} + 10 - {y}{less} = {x + 10 - y - borrow}, write {x + 10 - y - borrow}, borrow 1")
            borrow = 1
        else:
            lines.append(f"{x} - {y}{less} = {x - y - borrow}, write {x - y - borrow}")
            borrow = 0
    return lines


def multiply_columns(a, digit):
    """The lines that multiply a number by one digit."""
    lines, carry = [f"{a} * {digit}"], 0
    for at in reversed(range(len(str(a)))):
        x = int(str(a)[at])
        total = x * digit + carry
        terms = f"{x} * {digit} = {x * digit}" + (f", {x * digit} + {carry} = {total}" if carry else "")
        carry = total // 10
        lines.append(f"{terms}, write {total % 10}" + (f", carry {carry}" if carry else ""))
    if carry:
        lines.append(f"write {carry}")
    return lines


def trace(a, sign, b):
    """The reasoning for one operation."""
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    if sign == "+":
        lines = add_columns(a, b)
    elif sign == "-" and a >= b:
        lines = subtract_columns(a, b)
    elif sign == "-":
        lines = [f"{b} is more than {a}, so the result is negative"] + subtract_columns(b, a)
    elif a <= 12 and b <= 12:
        lines = []
    else:
        lines = multiply_columns(max(a, b), min(a, b))
    return "\n".join(lines + [f"{a} {sign} {b} = {result}"]), result


def _operands(draw):
    """Two numbers and a sign, up to three digits."""
    kind = draw.random()
    if kind < 0.45:
        sizes = draw.choice([(9, 99), (99, 99), (99, 99), (999, 99), (999, 999), (999, 999), (99, 999)])
        return draw.randint(0, sizes[0]), "+", draw.randint(0, sizes[1])
    if kind < 0.8:
        sizes = draw.choice([(99, 9), (99, 99), (99, 99), (999, 99), (999, 999), (999, 999)])
        a, b = draw.randint(0, sizes[0]), draw.randint(0, sizes[1])
        return (a, "-", b) if a >= b or draw.chance(0.08) else (b, "-", a)
    if kind < 0.9:
        return draw.randint(0, 12), "*", draw.randint(0, 12)
    a, b = draw.randint(12, 99), draw.randint(2, 9)
    return (a, "*", b) if draw.chance(0.7) else (b, "*", a)


def _asked(draw, expression):
    text = expression
    kind = draw.random()
    if kind < 0.15:
        text = text.replace(" ", "")
    elif kind < 0.25:
        text = text.replace("*", "x")
    elif kind < 0.4:
        for sign, word in IN_WORDS.items():
            text = text.replace(f" {sign} ", f" {word} ")
    return casual(draw, draw.choice(ASKED).format(text))


def long_sum(draw):
    """A sum that needs its columns: thinking on only."""
    a, sign, b = draw.fresh(lambda: _operands(draw))
    why, result = trace(a, sign, b)
    if draw.chance(0.15):
        return exchange("arithmetic", _asked(draw, f"{a} {sign} {b}").rstrip("?.") + ". Give only the number.", str(result),
                        why, hard=True)
    return exchange("arithmetic", _asked(draw, f"{a} {sign} {b}"), f"{a} {sign} {b} = {result}", why, hard=True)


def two_steps(draw):
    """Two operations, the part in brackets first: thinking on only."""
    def make():
        kind = draw.randrange(4)
        if kind == 0:
            return "({0} + {1}) * {2}", draw.randint(1, 20), draw.randint(1, 20), draw.randint(2, 9)
        if kind == 1:
            return "{0} + {1} + {2}", draw.randint(1, 99), draw.randint(1, 99), draw.randint(1, 99)
        if kind == 2:
            return "{0} * {1} + {2}", draw.randint(2, 12), draw.randint(2, 9), draw.randint(1, 50)
        return "{0} + {1} - {2}", draw.randint(10, 99), draw.randint(10, 99), draw.randint(1, 20)
    form, a, b, c = draw.fresh(make)
    first, second = {"({0} + {1}) * {2}": "+*", "{0} + {1} + {2}": "++", "{0} * {1} + {2}": "*+",
                     "{0} + {1} - {2}": "+-"}[form]
    why, between = trace(a, first, b)
    then, result = trace(between, second, c)
    expression = form.format(a, b, c)
    return exchange("arithmetic", draw.choice(ASKED).format(expression), f"{expression} = {result}", f"{why}\n{then}",
                    hard=True)


def small_sum(draw):
    """A sum that can be known by heart, so it is asked with thinking off too. The 1 in 10 of the test are ways to ask:
    like a closed list of facts, all the sums themselves occur in training."""
    def make():
        kind = draw.randrange(3)
        if kind == 0:
            a, sign, b = draw.randint(0, 10), "+", draw.randint(0, 10)
        elif kind == 1:
            a, sign = draw.randint(0, 20), "-"
            b = draw.randint(max(0, a - 10), min(a, 10))
        else:
            a, sign, b = draw.randint(0, 10), "*", draw.randint(0, 10)
        return a, sign, b, draw.randrange(len(ASKED))
    a, sign, b, form = draw.fresh(make)
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return exchange("arithmetic", casual(draw, ASKED[form].format(f"{a} {sign} {b}")), f"{a} {sign} {b} = {result}",
                    f"{a} {sign} {b} = {result}")


STORIES = [
    ("{name} has {a} {things} and gets {b} more. How many {things} does {name} have now?", "+"),
    ("{name} has {a} {things} and buys {b} more. How many {things} are there now?", "+"),
    ("There are {a} {things} on the table and {b} in the box. How many {things} are there in all?", "+"),
    ("{name} has {a} {things} and gives away {b}. How many {things} does {name} have now?", "-"),
    ("{name} had {a} {things} and lost {b} of them. How many {things} are left?", "-"),
    ("There are {a} boxes with {b} {things} in each. How many {things} are there in all?", "*"),
    ("{name} buys {a} bags with {b} {things} each. How many {things} does {name} have?", "*"),
]


def story(draw):
    """A sum told in words; small numbers, so that it can be answered at once too."""
    def make():
        text, sign = draw.choice(STORIES)
        a, b = draw.randint(2, 10), draw.randint(2, 10)
        return text, sign, max(a, b) if sign == "-" else a, min(a, b) if sign == "-" else b, draw.choice(COUNTED), \
            draw.choice(NAMES)
    text, sign, a, b, things, name = draw.fresh(make)
    result = {"+": a + b, "-": a - b, "*": a * b}[sign]
    return exchange("arithmetic", text.format(name=name, a=a, b=b, things=things), f"{result} {things}.",
                    f"{a} {sign} {b} = {result}")


def plain(draw):
    return (small_sum if draw.chance(0.75) else story)(draw)


def thoughtful(draw) -> Exchange:
    kind = draw.random()
    return (long_sum if kind < 0.75 else two_steps if kind < 0.85 else plain)(draw)
