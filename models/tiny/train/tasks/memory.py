"""Things that the user says and asks for later, with other turns in between."""

from .base import an, casual, exchange
from .words import ANIMALS, CITIES, COLOURS, FOODS, HOBBIES, JOBS, NAMES, THINGS

PETS = ["cat", "dog", "horse", "rabbit", "hamster", "parrot", "turtle", "mouse", "snake", "fish", "goat", "duck"]
SPORTS = ["football", "tennis", "golf", "hockey", "rugby", "volleyball", "badminton", "boxing", "rowing", "judo"]

# For each thing: how to draw its value, ways to say it, the answer to that, ways to ask for it, the answer to that,
# and the answer when it was never said.
THINGS_SAID = {
    "name": (lambda d: d.choice(NAMES),
             ["My name is {}.", "I am {}.", "Hi, I am {}.", "Hello, my name is {}.", "You can call me {}.", "I'm {}.",
              "My name's {}.", "Please call me {}.", "People call me {}."],
             "Nice to meet you, {}!",
             ["What is my name?", "Do you remember my name?", "Who am I?", "What was my name?", "Can you tell me my name?",
              "Do you know my name?", "What am I called?", "What's my name?"],
             "Your name is {}.", "You have not told me your name."),
    "colour": (lambda d: d.choice(COLOURS),
               ["My favourite colour is {}.", "I like the colour {} best.", "The colour I like most is {}.",
                "My favorite color is {}.", "{} is my favourite colour."],
               "I will remember that you like {}.",
               ["What is my favourite colour?", "Which colour do I like?", "What colour do I like best?",
                "Do you remember my favourite colour?", "What is my favorite color?"],
               "Your favourite colour is {}.", "You have not told me your favourite colour."),
    "city": (lambda d: d.choice(CITIES),
             ["I live in {}.", "I am from {}.", "My home is in {}.", "My city is {}.", "I come from {}.",
              "I have a flat in {}."],
             "{} is a nice place.",
             ["Where do I live?", "Which city am I from?", "In which city do I live?", "Where am I from?",
              "Do you remember where I live?", "Where is my home?"],
             "You live in {}.", "You have not told me where you live."),
    "food": (lambda d: d.choice(FOODS),
             ["My favourite food is {}.", "I like to eat {}.", "I love {}.", "I like {} most of all foods.",
              "The food I like best is {}."],
             "I will remember that you like {}.",
             ["What is my favourite food?", "What do I like to eat?", "Which food do I like?",
              "Do you remember my favourite food?", "What food do I love?"],
             "Your favourite food is {}.", "You have not told me your favourite food."),
    "job": (lambda d: an(d.choice(JOBS)),
            ["I am {}.", "I work as {}.", "My job is to be {}.", "I'm {}.", "I earn my money as {}."],
            "That is an interesting job.",
            ["What is my job?", "What do I do for work?", "What do I work as?", "Do you remember my job?",
             "What's my profession?"],
            "You are {}.", "You have not told me your job."),
    "hobby": (lambda d: d.choice(HOBBIES),
              ["My hobby is {}.", "I like {}.", "In my free time I do {}.", "I spend my weekends with {}.",
               "What I enjoy most is {}."],
              "{} is a good hobby.",
              ["What is my hobby?", "What do I do in my free time?", "Do you remember my hobby?", "Which hobby do I have?",
               "What do I enjoy?"],
              "Your hobby is {}.", "You have not told me your hobby."),
    "number": (lambda d: str(d.randint(1, 999)),
               ["My favourite number is {}.", "My lucky number is {}.", "Remember the number {}.", "My number is {}.",
                "Please keep the number {} in mind."],
               "I will remember the number {}.",
               ["What is my number?", "Which number did I tell you?", "What was the number?", "Do you remember my number?",
                "What is my favourite number?"],
               "Your number is {}.", "You have not told me a number."),
    "pet": (lambda d: d.choice(PETS) + " called " + d.choice(NAMES),
            ["I have a {}.", "At home I have a {}.", "There is a {} in my house.", "I own a {}.", "My family has a {}."],
            "That sounds like a lovely pet.",
            ["Which pet do I have?", "What pet do I have?", "Do you remember my pet?", "What animal do I have?",
             "Tell me about my pet."],
            "You have a {}.", "You have not told me about a pet."),
    "friend": (lambda d: d.choice(NAMES),
               ["My best friend is {}.", "My friend is called {}.", "I have a friend called {}.", "The name of my friend is {}.",
                "My best friend is called {}."],
               "{} must be a good friend.",
               ["Who is my friend?", "What is the name of my friend?", "Who is my best friend?", "What is my friend called?",
                "Do you remember my friend?"],
               "Your friend is {}.", "You have not told me about a friend."),
    "age": (lambda d: str(d.randint(5, 99)),
            ["I am {} years old.", "My age is {}.", "I'm {} years old.", "I turned {} this year.", "I am {} years of age."],
            "{} is a good age.",
            ["How old am I?", "What is my age?", "Do you remember my age?", "Can you tell me how old I am?",
             "Do you know how old I am?"],
            "You are {} years old.", "You have not told me your age."),
    "sport": (lambda d: d.choice(SPORTS),
              ["I play {}.", "My sport is {}.", "I play {} every week.", "My favourite sport is {}.", "For sport I do {}."],
              "{} keeps you fit.",
              ["What is my sport?", "Which sport do I do?", "What do I play?", "Do you remember my sport?",
               "What is my favourite sport?"],
              "Your sport is {}.", "You have not told me about a sport."),
    "wish": (lambda d: an(d.choice(THINGS)),
             ["I want to buy {}.", "I am looking for {}.", "I wish for {}.", "I would like to have {}.", "I need {}."],
             "I hope that you find {}.",
             ["What do I want to buy?", "What am I looking for?", "What do I wish for?", "What would I like to have?",
              "Do you remember what I need?"],
             "You want {}.", "You have not told me what you want."),
    "fear": (lambda d: "the " + d.choice(ANIMALS),
             ["The animal I fear is {}.", "I am afraid of {}.", "I do not like {}.", "The animal I like least is {}."],
             "I understand that you fear {}.",
             ["Which animal do I fear?", "What am I afraid of?", "Which animal do I not like?",
              "Do you remember the animal I fear?"],
             "You fear {}.", "You have not told me about a fear."),
}
CORRECTED = ["No, wait: {}", "Sorry, I was wrong. {}", "I made a mistake. {}", "That has changed: {}"]
ALL = list(THINGS_SAID)


def _start(text):
    return text[0].upper() + text[1:]


class Memory:
    """What the user has said in one conversation."""

    def __init__(self, draw):
        self.draw = draw
        self.said = {}

    def told(self):
        """The user says one thing, or two at once; now and then a thing that was said is corrected."""
        draw = self.draw
        if self.said and draw.chance(0.08):
            what = draw.choice(list(self.said))
            return self._tell(what, draw.choice(CORRECTED))
        left = [what for what in ALL if what not in self.said]
        if len(left) < 2 or not draw.chance(0.2):
            return self._tell(draw.choice(left or ALL), "{}")
        first, second = draw.sample(left, 2)
        if "name" in (first, second):
            first, second = ("name", second if first == "name" else first)
        said = " ".join(self._value(what)[0] for what in (first, second))
        return exchange("memory", said, "I will remember that.", "The user tells me two things.")

    def _value(self, what):
        make, ways, reply = THINGS_SAID[what][:3]
        draw = self.draw
        value, way = draw.fresh(lambda: (make(draw), draw.choice(ways)))
        self.said[what] = value
        return _start(way.format(value)), _start(reply.format(value))

    def _tell(self, what, frame):
        said, reply = self._value(what)
        return exchange("memory", casual(self.draw, frame.format(said)) if frame == "{}" else frame.format(said), reply,
                        "The user tells me something.")

    def asked(self, known=None):
        """The user asks for a thing that was said, or now and then for one that was not."""
        draw = self.draw
        if known is None:
            known = bool(self.said) and not draw.chance(0.1)
        what = draw.choice(list(self.said) if known else [what for what in ALL if what not in self.said] or ALL)
        asked, answer, missing = THINGS_SAID[what][3:]
        if what in self.said:
            return exchange("memory", casual(draw, draw.choice(asked)), answer.format(self.said[what]),
                            f"The user told me: {self.said[what]}.")
        return exchange("memory", casual(draw, draw.choice(asked)), missing, "The user has not told me that.")
