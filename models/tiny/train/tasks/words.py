"""Pools of words that the tasks draw from. Everything here is plain ASCII English, one token or two each."""

NAMES = """Anna Ben Clara David Emma Frank Grace Henry Ida Jack Kate Leo Maria Nora Oscar Paul Rosa Sam Tina Victor
Alice Bruno Carla Dora Erik Fiona George Hanna Igor Julia Karl Lena Martin Nina Otto Petra Simon Tom Ursula Walter
Amy Brian Cora Dan Eva Felix Gina Hugo Iris Jonas Kim Lucas Mia Noah Olga Peter Ruth Stefan Vera Zoe
Adam Bella Chris Diana Edgar Flora Gary Helen Ivan Jane Kevin Linda Mark Nancy Oliver Rachel Robert Sarah Thomas
Wendy""".split()

CITIES = """Paris London Berlin Rome Madrid Lisbon Vienna Prague Warsaw Dublin Oslo Athens Tokyo Cairo Boston Chicago
Denver Seattle Toronto Sydney Hamburg Munich Zurich Geneva Milan Naples Porto Lyon Kyoto Delhi Austin Dallas Houston
Miami Atlanta Cologne Florence Venice Bergen Glasgow""".split()

COLOURS = "red blue green yellow orange purple pink brown black white grey silver gold turquoise violet".split()

ANIMALS = """cat dog horse cow sheep goat pig rabbit mouse fox wolf bear lion tiger zebra monkey camel deer duck goose
owl eagle parrot snake frog fish shark whale otter badger hamster turtle penguin donkey squirrel""".split()

FRUITS = """apple pear plum cherry banana orange lemon grape melon peach mango fig kiwi lime apricot papaya coconut date
berry olive""".split()

FOODS = """bread cheese pizza pasta rice soup salad cake butter honey sugar salt pepper tomato potato carrot onion bean
garlic egg milk tea coffee juice noodles pancakes chocolate""".split()

THINGS = """table chair lamp door window spoon fork knife plate cup bottle box bag book pen pencil paper letter clock watch
key coin ring mirror bed pillow blanket shirt shoe hat coat glove scarf hammer nail rope ladder bucket broom candle
basket ball drum guitar piano flute camera phone radio train boat bridge tower castle garden river mountain forest
lake island beach cloud storm star moon sun planet rocket engine wheel mill anchor compass map lantern feather
pebble copper marble velvet timber harbor meadow canyon glacier desert valley cabin barn fence gate well pond""".split()

ADJECTIVES = """old new big small tall short long wide narrow deep quiet loud bright dark warm cold soft hard smooth rough
heavy light clean dusty wooden golden empty full round square tiny huge gentle brave clever lazy happy sad hungry
young strange simple fresh sweet bitter famous distant hidden broken early late""".split()

JOBS = """teacher doctor nurse baker farmer pilot painter writer singer lawyer cook driver gardener carpenter plumber
engineer dentist tailor sailor librarian programmer musician scientist waiter""".split()

HOBBIES = """chess painting reading swimming cycling hiking cooking fishing dancing singing running skiing gardening
photography knitting climbing sailing drawing""".split()

DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
MONTHS = "January February March April May June July August September October November December".split()

LETTERS = "abcdefghijklmnopqrstuvwxyz"

# Words for lists that are copied, reversed, sorted and counted.
LIST_WORDS = sorted(set(ANIMALS + FRUITS + FOODS + THINGS + COLOURS))

# Words of a pass phrase.
PHRASE_WORDS = sorted(set(THINGS + ADJECTIVES + ANIMALS + COLOURS))

SYLLABLES = """ba be bi bo bu da de di do du fa fe fi fo ga ge go gu ka ke ki ko ku la le li lo lu ma me mi mo mu na ne ni
no nu pa pe pi po pu ra re ri ro ru sa se si so su ta te ti to tu va ve vi vo za ze zi zo zu bra cre dri flo gru pla
sto tri qua sha cho wex nim dax zor quil""".split()

SYMBOLS = "!?#%&*+-=/@$^~;:()[]{}_|"
ODD_CHARACTERS = list("éüöäñçøåß") + ["\u20ac", "\u00b0", "\U0001F600", "\U0001F680", "\u2713", "\u03c0", "\u2192"]


def made_up(draw, least=2, most=3):
    """A word that does not exist, of `least` to `most` syllables."""
    return "".join(draw.choice(SYLLABLES) for _ in range(draw.randint(least, most)))


def code(draw):
    """A short random code, such as `k7-x2q`."""
    kind = draw.randrange(4)
    if kind == 0:
        return "".join(draw.choice(LETTERS) for _ in range(draw.randint(3, 5)))
    if kind == 1:
        return str(draw.randint(10, 99999))
    if kind == 2:
        return draw.choice(LETTERS).upper() + draw.choice(LETTERS).upper() + "-" + str(draw.randint(10, 999))
    return "".join(draw.choice(LETTERS + "0123456789") for _ in range(draw.randint(4, 6)))
