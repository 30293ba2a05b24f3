"""World facts of closed lists. Every fact occurs in training; the test asks it in a way it was not asked there."""

from .base import casual, exchange
from .words import DAYS, MONTHS

CAPITALS = dict(pair.split("/") for pair in """France/Paris Germany/Berlin Italy/Rome Spain/Madrid Portugal/Lisbon
Austria/Vienna Poland/Warsaw Ireland/Dublin Norway/Oslo Sweden/Stockholm Finland/Helsinki Denmark/Copenhagen
Greece/Athens Hungary/Budapest Belgium/Brussels Switzerland/Bern Romania/Bucharest Bulgaria/Sofia Croatia/Zagreb
Serbia/Belgrade Slovenia/Ljubljana Slovakia/Bratislava Estonia/Tallinn Latvia/Riga Lithuania/Vilnius Iceland/Reykjavik
Ukraine/Kyiv Turkey/Ankara Russia/Moscow China/Beijing Japan/Tokyo India/Delhi Thailand/Bangkok Vietnam/Hanoi
Indonesia/Jakarta Nepal/Kathmandu Pakistan/Islamabad Iran/Tehran Iraq/Baghdad Israel/Jerusalem Egypt/Cairo
Morocco/Rabat Tunisia/Tunis Algeria/Algiers Kenya/Nairobi Ethiopia/Addis_Ababa Nigeria/Abuja Ghana/Accra Senegal/Dakar
Cuba/Havana Mexico/Mexico_City Canada/Ottawa Brazil/Brasilia Argentina/Buenos_Aires Chile/Santiago Peru/Lima
Colombia/Bogota Venezuela/Caracas Ecuador/Quito Uruguay/Montevideo Australia/Canberra England/London
Scotland/Edinburgh""".replace("India/Delhi", "India/New_Delhi").split())
CAPITALS = {country: city.replace("_", " ") for country, city in CAPITALS.items()}

OPPOSITES = [tuple(pair.split("/")) for pair in """hot/cold big/little short/long fast/slow old/young early/late
happy/sad bright/dark hard/soft open/closed full/empty rich/poor strong/weak good/bad true/false
high/low wide/narrow thick/thin deep/shallow clean/dirty dry/wet loud/quiet sharp/blunt rough/smooth sweet/sour
near/far up/down left/right inside/outside above/below before/after first/last begin/end push/pull buy/sell
give/take win/lose love/hate laugh/cry day/night summer/winter north/south east/west friend/enemy question/answer
yes/no always/never all/none more/less same/different easy/difficult cheap/expensive safe/dangerous simple/complex
polite/rude brave/cowardly asleep/awake alive/dead front/back top/bottom entrance/exit arrive/leave remember/forget
""".split()]

COLOURS_OF = dict(pair.split("/") for pair in """the_sky/blue grass/green snow/white coal/black a_banana/yellow
a_lemon/yellow blood/red a_tomato/red a_strawberry/red a_carrot/orange a_pumpkin/orange milk/white chocolate/brown
the_sun/yellow an_elephant/grey a_flamingo/pink a_frog/green a_raven/black a_swan/white a_fire_truck/red
an_emerald/green a_ruby/red a_sapphire/blue an_eggplant/purple spinach/green cotton/white soil/brown
a_sunflower/yellow a_crow/black the_sea/blue a_polar_bear/white a_cucumber/green a_fox/red coffee/brown""".split())
COLOURS_OF = {thing.replace("_", " "): colour for thing, colour in COLOURS_OF.items()}

SMALL = """zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen
seventeen eighteen nineteen""".split()
TENS = "twenty thirty forty fifty sixty seventy eighty ninety".split()


def number_word(number):
    """`forty-two` for 42; numbers 0 to 100."""
    if number < 20:
        return SMALL[number]
    if number == 100:
        return "one hundred"
    tens, ones = divmod(number, 10)
    return TENS[tens - 2] + ("-" + SMALL[ones] if ones else "")


CAPITAL_ASKED = ["What is the capital of {}?", "Which city is the capital of {}?", "Tell me the capital of {}.",
                 "Name the capital of {}.", "Do you know the capital of {}?", "What is the capital city of {}?",
                 "I need the capital of {}.", "Capital of {}?", "What's the capital of {}?", "Give me the capital of {}.",
                 "Can you tell me the capital of {}?", "Please name the capital city of {}."]
COUNTRY_ASKED = ["Which country has the capital {}?", "{} is the capital of which country?",
                 "Of which country is {} the capital?", "What country is {} the capital of?",
                 "The city of {} is the capital of what country?", "Name the country whose capital is {}."]
OPPOSITE_ASKED = ["What is the opposite of {}?", "Tell me the opposite of {}.", "Give me the opposite of the word {}.",
                  "Opposite of {}?", "Which word is the opposite of {}?", "What's the opposite of {}?",
                  "Name the opposite of {}.", "What is the opposite of \"{}\"?", "The opposite of {} is what?"]
COLOUR_ASKED = ["What colour is {}?", "Which colour does {} have?", "What is the colour of {}?", "Tell me the colour of {}.",
                "What color is {}?", "Name the colour of {}.", "Do you know what colour {} is?"]
NEXT_ASKED = ["Which {} comes after {}?", "What {} comes after {}?", "What is the {} after {}?", "Which {} follows {}?",
              "Tell me the {} after {}.", "Name the {} that comes after {}."]
LAST_ASKED = ["Which {} comes before {}?", "What {} comes before {}?", "What is the {} before {}?", "Which {} precedes {}?",
              "Tell me the {} before {}.", "Name the {} that comes before {}."]
WORD_ASKED = ["Write {} in words.", "How do you write {} in words?", "Spell the number {} as a word.",
              "What is {} in words?", "Write the number {} as words.", "Say {} in words."]
DIGITS_ASKED = ["Write {} in digits.", "Write the number {} in digits.", "What is {} in digits?",
                "Which number is {}?", "Give me {} as a number.", "Write {} as a number."]
BRIEFLY = [" Answer with one word.", " One word only.", " Reply with just the word.", " Just one word, please."]


def capital(draw):
    country, form = draw.fresh(lambda: (draw.choice(list(CAPITALS)), draw.randrange(len(CAPITAL_ASKED))))
    city = CAPITALS[country]
    asked = CAPITAL_ASKED[form].format(country)
    why = f"The capital of {country} is {city}."
    if " " not in city and draw.chance(0.15):
        return exchange("fact", asked + draw.choice(BRIEFLY), city, why)
    return exchange("fact", casual(draw, asked), why, f"The user asks for the capital of {country}. It is {city}.")


def country(draw):
    name, form = draw.fresh(lambda: (draw.choice(list(CAPITALS)), draw.randrange(len(COUNTRY_ASKED))))
    city = CAPITALS[name]
    return exchange("fact", COUNTRY_ASKED[form].format(city), f"{city} is the capital of {name}.",
                    f"The user asks whose capital {city} is. It is {name}.")


def opposite(draw):
    pair, side, form = draw.fresh(lambda: (draw.choice(OPPOSITES), draw.randrange(2), draw.randrange(len(OPPOSITE_ASKED))))
    word, other = pair[side], pair[1 - side]
    asked = OPPOSITE_ASKED[form].format(word)
    if draw.chance(0.2):
        return exchange("fact", asked + draw.choice(BRIEFLY), other, f"The opposite of {word} is {other}.")
    return exchange("fact", casual(draw, asked), f"The opposite of {word} is {other}.",
                    f"The user wants the opposite of {word}. It is {other}.")


def colour(draw):
    thing, form = draw.fresh(lambda: (draw.choice(list(COLOURS_OF)), draw.randrange(len(COLOUR_ASKED))))
    answer = COLOURS_OF[thing]
    asked = COLOUR_ASKED[form].format(thing)
    if draw.chance(0.2):
        return exchange("fact", asked + draw.choice(BRIEFLY), answer, f"{thing[0].upper() + thing[1:]} is {answer}.")
    return exchange("fact", casual(draw, asked), f"{thing[0].upper() + thing[1:]} is {answer}.",
                    f"The user asks for the colour of {thing}. It is {answer}.")


def calendar(draw):
    def make():
        kind = draw.randrange(2)
        return kind, draw.randrange(12 if kind else 7), draw.randrange(2), draw.randrange(len(NEXT_ASKED))
    kind, at, back, form = draw.fresh(make)
    names = MONTHS if kind else DAYS
    unit = "month" if kind else "day"
    answer = names[(at + (-1 if back else 1)) % len(names)]
    side = "before" if back else "after"
    asked = (LAST_ASKED if back else NEXT_ASKED)[form].format(unit, names[at])
    return exchange("fact", casual(draw, asked), f"The {unit} {side} {names[at]} is {answer}.",
                    f"{names[at]}, one {unit} {'back' if back else 'on'}: {answer}.")


def number(draw):
    value, form = draw.fresh(lambda: (draw.randint(0, 100), draw.randrange(len(WORD_ASKED) + len(DIGITS_ASKED))))
    word = number_word(value)
    if form < len(WORD_ASKED):
        return exchange("fact", casual(draw, WORD_ASKED[form].format(value)), f"{value} is {word}.",
                        f"{value} in words is {word}.")
    return exchange("fact", casual(draw, DIGITS_ASKED[form - len(WORD_ASKED)].format(word)),
                    f"{word[0].upper() + word[1:]} is {value}.", f"{word} in digits is {value}.")


KINDS = [(capital, 5), (country, 2), (opposite, 4), (colour, 2), (calendar, 3), (number, 4)]


def fact(draw):
    return draw.choices(*zip(*KINDS))[0](draw)
