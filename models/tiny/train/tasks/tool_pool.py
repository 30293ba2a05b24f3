"""The tools that conversations declare: some thirty of everyday life, and made-up ones that nothing but their declaration
explains. A tool draws its arguments, the ways to ask for a call, a response, and what is said after the response."""

import json
from typing import Callable, NamedTuple

from .base import decimal
from .words import ADJECTIVES, CITIES, COLOURS, FOODS, LIST_WORDS, NAMES, THINGS, code, made_up


class Parameter(NamedTuple):
    name: str
    kind: str
    make: Callable
    about: str | None = None
    choices: tuple | None = None
    required: bool = True


class Tool(NamedTuple):
    """`asked`: ways to ask, with the parameters in braces. `reply`: the response of a call and the sentence about it.
    `should`: what it does, where that is not in its name."""

    name: str
    about: str
    parameters: tuple
    asked: tuple
    reply: Callable
    should: str = ""

    def reason(self):
        """What is thought before a call."""
        return f"I should {self.should} with {self.name}." if self.should else f"I should call {self.name}."

    def declaration(self):
        properties = {}
        for one in self.parameters:
            schema = {"type": one.kind}
            if one.about:
                schema["description"] = one.about
            if one.choices:
                schema["enum"] = list(one.choices)
            if one.kind == "array":
                schema["items"] = {"type": "string"}
            properties[one.name] = schema
        required = [one.name for one in self.parameters if one.required]
        parameters = {"type": "object", "properties": properties}
        if required:
            parameters["required"] = required
        function = {"name": self.name, "description": self.about, "parameters": parameters}
        return {"type": "function", "function": function}


def _text(name, pool, about=None):
    return Parameter(name, "string", lambda d: d.choice(pool), about)


def _made(name, make, about=None):
    return Parameter(name, "string", make, about)


def _whole(name, low, high, about=None):
    return Parameter(name, "integer", lambda d: d.randint(low, high), about)


def _decimal(name, low, high, about=None):
    return Parameter(name, "number", lambda d: decimal(d, low, high), about)


def _truth(name, about=None):
    return Parameter(name, "boolean", lambda d: d.chance(0.5), about)


def _enum(name, *choices):
    return Parameter(name, "string", lambda d: d.choice(choices), None, choices)


def _array(name, pool, about=None):
    return Parameter(name, "array", lambda d: d.sample(pool, d.randint(2, 4)), about)


def _phrase(d):
    return " ".join(d.choice(LIST_WORDS) for _ in range(d.randint(1, 4)))


def _clock(d):
    return f"{d.randint(0, 23):02d}:{d.choice([0, 5, 10, 15, 20, 30, 40, 45, 50]):02d}"


def _date(d):
    return f"{d.randint(2024, 2030)}-{d.randint(1, 12):02d}-{d.randint(1, 28):02d}"


def _mail(d):
    return f"{d.choice(NAMES).lower()}@{d.choice(['mail', 'post', 'work', 'home', 'example'])}.{d.choice(['com', 'org', 'net'])}"


SKIES = ["sunny", "cloudy", "rainy", "windy", "snowy", "foggy"]
ROOMS = ["kitchen", "bedroom", "bathroom", "hall", "office", "garage", "attic", "garden", "cellar"]
CURRENCIES = ("EUR", "USD", "GBP", "JPY", "CHF")
LANGUAGES = ("French", "German", "Spanish", "Italian", "Dutch")


def _done(sentence):
    """A response that only says that it went well."""
    return lambda d, a: ({"status": "ok"}, sentence.format(**a))


def _weather(d, a):
    degrees, sky = d.randint(-15, 38), d.choice(SKIES)
    return {"temperature": degrees, "sky": sky}, f"In {a['city']} it is {degrees} degrees and {sky}."


def _value(key, make, sentence):
    """A response with one value, and a sentence with it."""
    def reply(d, a):
        value = make(d)
        return {key: value}, sentence.format(value=value, **a)
    return reply


TOOLS = [
    Tool("get_weather", "Current weather of a city", (_text("city", CITIES),),
         ("What is the weather in {city}?", "How is the weather in {city}?", "Is it cold in {city}?", "Weather in {city}, please.",
          "Do I need a coat in {city}?"), _weather, "look up the weather"),
    Tool("get_time", "Local time of a city", (_text("city", CITIES),),
         ("What time is it in {city}?", "Tell me the time in {city}.", "How late is it in {city}?", "Local time in {city}?"),
         _value("time", _clock, "It is {value} in {city}."), "look up the time"),
    Tool("set_timer", "Start a timer", (_whole("minutes", 1, 90),),
         ("Set a timer for {minutes} minutes.", "Start a timer of {minutes} minutes.", "Wake me in {minutes} minutes.",
          "Timer: {minutes} minutes."), _done("The timer is set to {minutes} minutes."), "start a timer"),
    Tool("set_alarm", "Set an alarm clock", (_made("time", _clock),),
         ("Set an alarm for {time}.", "Wake me at {time}.", "I must get up at {time}, set the alarm.", "Alarm at {time}, please."),
         _done("The alarm is set for {time}."), "set an alarm"),
    Tool("send_email", "Send an email", (_made("to", _mail), _made("subject", _phrase)),
         ("Send an email to {to} with the subject {subject}.", "Write a mail to {to}, subject: {subject}.",
          "Email {to} about {subject}."), _done("The email to {to} is sent."), "send an email"),
    Tool("send_message", "Send a text message to a person", (_text("name", NAMES), _made("text", _phrase)),
         ("Send {name} the message: {text}", "Text {name}: {text}", "Write a message to {name}: {text}",
          "Tell {name} by message: {text}"), _done("The message to {name} is sent."), "send a message"),
    Tool("call_person", "Call a person by phone", (_text("name", NAMES),),
         ("Call {name}.", "Please phone {name}.", "I want to talk to {name} on the phone.", "Ring {name} for me."),
         _done("I am calling {name}."), "make a call"),
    Tool("play_music", "Play music of a genre", (_enum("genre", "jazz", "rock", "pop", "classical", "folk"), _whole("volume", 1, 100)),
         ("Play {genre} music at volume {volume}.", "Put on some {genre} with volume {volume}.",
          "I want to hear {genre} at volume {volume}."), _done("I am playing {genre} music."), "play music"),
    Tool("set_light", "Switch the light of a room", (_text("room", ROOMS), _truth("on")),
         ("Set the light in the {room} to on = {on}.", "Light in the {room}: on = {on}.", "Switch the {room} light, on should be {on}."),
         _done("The light in the {room} is set."), "switch the light"),
    Tool("set_temperature", "Set the heating of a room", (_text("room", ROOMS), _decimal("degrees", 15, 26)),
         ("Heat the {room} to {degrees} degrees.", "Set the {room} to {degrees} degrees.",
          "Make the {room} {degrees} degrees warm."), _done("The {room} is set to {degrees} degrees."), "set the heating"),
    Tool("convert_currency", "Convert an amount of money",
         (_decimal("amount", 1, 500), _enum("source", *CURRENCIES), _enum("target", *CURRENCIES)),
         ("Convert {amount} {source} to {target}.", "How much is {amount} {source} in {target}?",
          "What do I get in {target} for {amount} {source}?"),
         _value("result", lambda d: decimal(d, 1, 900, 2), "{amount} {source} are {value} {target}."), "convert money"),
    Tool("translate", "Translate a word", (_text("word", LIST_WORDS), _enum("language", *LANGUAGES)),
         ("Translate {word} into {language}.", "How do you say {word} in {language}?", "What is {word} in {language}?"),
         _value("translation", made_up, "In {language} {word} is {value}."), "translate a word"),
    Tool("add_to_cart", "Put items into the shopping cart", (_text("item", THINGS + FOODS), _whole("quantity", 1, 20)),
         ("Put {quantity} times {item} into my cart.", "Add {quantity} of {item} to the cart.", "Buy {quantity} of {item}, please."),
         _done("I put {quantity} times {item} into the cart."), "fill the cart"),
    Tool("get_price", "Price of a product", (_text("product", THINGS + FOODS),),
         ("What does the {product} cost?", "How much is the {product}?", "Price of the {product}?", "Tell me the price of the {product}."),
         _value("price", lambda d: decimal(d, 1, 300, 2), "The {product} costs {value}."), "look up the price"),
    Tool("book_table", "Book a table in a restaurant", (_text("city", CITIES), _whole("people", 1, 12), _made("time", _clock)),
         ("Book a table for {people} in {city} at {time}.", "I need a table for {people} people at {time} in {city}.",
          "Reserve a table in {city} for {people} at {time}."), _done("The table in {city} is booked for {time}."), "book a table"),
    Tool("book_train", "Book a train from one city to another", (_text("origin", CITIES), _text("target", CITIES)),
         ("Book a train from {origin} to {target}.", "I want to go by train from {origin} to {target}.",
          "Get me a train ticket from {origin} to {target}."),
         _value("seat", lambda d: f"{d.randint(1, 99)}{d.choice('ABCD')}", "Your seat to {target} is {value}."), "book a train"),
    Tool("create_note", "Save a note", (_made("title", lambda d: d.choice(THINGS)), _made("text", _phrase)),
         ("Save a note with the title {title}: {text}", "Note under {title}: {text}", "Write a note called {title}: {text}"),
         _done("The note {title} is saved."), "save a note"),
    Tool("create_list", "Save a list of items", (_text("name", THINGS), _array("items", LIST_WORDS)),
         ("Make a list called {name} with {items}.", "Save a list named {name}: {items}", "New list {name} with the items {items}."),
         _done("The list {name} is saved."), "save a list"),
    Tool("add_event", "Add an event to the calendar", (_made("title", _phrase), _made("date", _date)),
         ("Add {title} to my calendar on {date}.", "Put {title} into the calendar for {date}.", "On {date} I have {title}, add it."),
         _done("I added {title} on {date}."), "add an event"),
    Tool("find_file", "Find a file by its name", (_made("name", lambda d: f"{d.choice(LIST_WORDS)}.{d.choice(['txt', 'pdf', 'doc'])}"),),
         ("Find the file {name}.", "Where is the file {name}?", "Search for the file {name}.", "Look for {name} on my disk."),
         _value("path", lambda d: f"/{d.choice(LIST_WORDS)}/{d.choice(LIST_WORDS)}", "The file {name} is in {value}."), "find a file"),
    Tool("read_sensor", "Read a sensor by its number", (_whole("sensor", 1, 99),),
         ("Read sensor {sensor}.", "What does sensor {sensor} say?", "Value of sensor {sensor}?", "Check sensor number {sensor}."),
         _value("value", lambda d: decimal(d, 0, 100), "Sensor {sensor} says {value}."), "read a sensor"),
    Tool("open_door", "Open a door of the house", (_enum("door", "front", "back", "garage", "cellar"), _whole("seconds", 5, 120)),
         ("Open the {door} door for {seconds} seconds.", "Please open the {door} door, {seconds} seconds.",
          "Unlock the {door} door for {seconds} seconds."), _done("The {door} door is open for {seconds} seconds."),
         "open a door"),
    Tool("search_web", "Search the web", (_made("query", _phrase), _whole("limit", 1, 20)),
         ("Search the web for {query}, {limit} results.", "Find {limit} pages about {query} on the web.",
          "Look for {query} online and show {limit} results."),
         _value("found", lambda d: d.randint(0, 900), "I found {value} pages about {query}."), "search the web"),
    Tool("get_stock", "Number of pieces in the store", (_text("item", THINGS),),
         ("How many pieces of {item} are in the store?", "Is there any {item} in stock?", "Stock of {item}?",
          "Check the stock of {item}."), _value("pieces", lambda d: d.randint(0, 500), "There are {value} pieces of {item} in the store."),
         "check the stock"),
    Tool("paint_shape", "Draw a shape", (_enum("shape", "circle", "square", "triangle", "star"), _text("colour", COLOURS),
                                         _whole("size", 1, 100)),
         ("Draw a {colour} {shape} of size {size}.", "Paint a {shape} of size {size} in {colour}.",
          "I want a {colour} {shape}, size {size}."), _done("I drew a {colour} {shape}."), "draw a shape"),
    Tool("get_user", "Look up a user by the number", (_whole("id", 1, 9999),),
         ("Who is user {id}?", "Look up user {id}.", "Show me user number {id}.", "Find the user with the id {id}."),
         _value("name", lambda d: d.choice(NAMES), "User {id} is {value}."), "look up a user"),
    Tool("feed_pet", "Feed a pet", (_enum("pet", "cat", "dog", "fish", "rabbit"), _whole("grams", 5, 300)),
         ("Feed the {pet} {grams} grams.", "Give the {pet} {grams} grams of food.", "The {pet} is hungry, give it {grams} grams."),
         _done("The {pet} got {grams} grams."), "feed the pet"),
    Tool("roll_dice", "Roll a number of dice", (_whole("dice", 1, 20),),
         ("Roll {dice} dice.", "Throw {dice} dice.", "Please roll {dice} dice for me."),
         _value("sum", lambda d: d.randint(1, 99), "The sum of the dice is {value}."), "roll dice"),
    Tool("get_distance", "Distance between two cities", (_text("origin", CITIES), _text("target", CITIES)),
         ("How far is it from {origin} to {target}?", "Distance from {origin} to {target}?",
          "How many kilometers are between {origin} and {target}?"),
         _value("kilometers", lambda d: d.randint(20, 9000), "From {origin} to {target} it is {value} kilometers."),
         "look up the distance"),
    Tool("restart_server", "Restart a server", (_made("host", lambda d: f"{d.choice(LIST_WORDS)}-{d.randint(1, 99)}"), _truth("force")),
         ("Restart the server {host} with force = {force}.", "Please restart {host}, force = {force}.",
          "Server {host} hangs, restart it (force = {force})."), _done("The server {host} is restarted."), "restart a server"),
]


def made_up_tool(draw):
    """A tool whose names are made up: only its declaration and the user's words say what to call."""
    def word():
        return made_up(draw) if draw.chance(0.6) else draw.choice(THINGS + ADJECTIVES)
    name = word() + "_" + word()
    parameters, names = [], set()
    for _ in range(draw.randint(1, 4)):
        key = word()
        if key in names or key == name:
            continue
        names.add(key)
        # the first one has many values: train and test need different ones
        parameters.append(draw.choice([
            lambda: Parameter(key, "string", lambda d: d.choice(LIST_WORDS) if d.chance(0.5) else code(d)),
            lambda: Parameter(key, "string", lambda d: made_up(d) if d.chance(0.7) else d.choice(NAMES)),
            lambda: Parameter(key, "integer", lambda d: d.randint(-20, 999)),
            lambda: Parameter(key, "number", lambda d: decimal(d, 0, 50)),
            lambda: Parameter(key, "boolean", lambda d: d.chance(0.5)),
            lambda: (lambda few: Parameter(key, "string", lambda d: d.choice(few), None, few))(
                tuple(draw.sample(LIST_WORDS, 3))),
            lambda: Parameter(key, "array", lambda d: d.sample(LIST_WORDS, d.randint(2, 3))),
        ][:None if parameters else 4])())
    form = draw.randrange(5)
    pairs = [f"{one.name} {'=' if form % 2 else 'set to'} {{{one.name}}}" for one in parameters]
    joined = " and ".join(pairs) if len(pairs) < 3 else ", ".join(pairs)
    asked = [f"Call {name} with {joined}.", f"Use {name}, {joined}.", f"Please run {name} with {joined}.",
             f"Run {name}: {joined}", f"I want to {name.replace('_', ' ')} with {joined}."][form]
    about = f"To {name.replace('_', ' ')}" if draw.chance(0.7) else f"{draw.choice(ADJECTIVES).capitalize()} {draw.choice(THINGS)}"
    result = draw.choice(["result", "answer", "value", "output"])
    return Tool(name, about, tuple(parameters), (asked,),
                lambda d, a: (lambda value: ({result: value}, f"The {result} is {value}."))(
                    d.choice(LIST_WORDS) if d.chance(0.4) else code(d)))


def shown(value):
    """An argument as the user writes it."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(value)
    return str(value)


def response_text(response):
    return json.dumps(response, ensure_ascii=False)
