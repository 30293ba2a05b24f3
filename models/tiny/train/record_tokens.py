"""Writes texts and their ids for the Java test `TinyTokenizerTest`.

    python3 record_tokens.py      writes ../../../model/src/test/resources/tiny/tokens.json"""

import json
import random

from dataset import conversations, encoder
from tokenizer import FOLDER, SPECIAL

TARGET = FOLDER.parent.parent / "model/src/test/resources/tiny/tokens.json"
TEXTS = [
    "", " ", "  ", "\n", "\n\n", "\r\n", "\t", " \n ", "a", " a", "a ", "  a", "a  b", "a\n\n\nb", "a \n b", "\ta\tb", "   \n\n   x",
    "0", "1234567890", "3.14159", " 7", "1 2 3", "-5", "1,000,000", "½", "²", "٣٤", "Ⅳ", "x2y", "k7-x2q",
    "What's the licence of Sidewinder?", "don't can't I'm", "e-mail snake_case camelCase PascalCase kebab-case",
    "</parameter>\n</function>\n", "<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n",
    "<name>city</name>\n<type>string</type>\n", "</a>\n\n</b>", "<A>", "<a1>", "<a b>", "< a>", "<<<", "a<b>c", "x <y> z", "<a=", "<a>b</a>",
    "<=", "=>", "->", "<-", "<>", "</>", "</", "<a\n>", "[[\"a\", \"b\"]]", "{\"a\": {\"b\": [1, 2.5, true, null]}}", "[]", "{}", "\"\"",
    "...", "?!", "!!! ???", "#$%^&*()_+-=[]{}|;:'\",.<>/?`~", "  !", " !?", "a!b", "a !b", "(a)", "( a )", "/health/ready", "C:\\temp\\x",
    "def f(x):\n    return x + 1\n", "for (int i = 0; i < 10; i++) {\n\tsum += i;\n}", "SELECT * FROM t WHERE a <> 'b';",
    "if a<b and c>d:", "<html>\n<body class=\"x\">\n</body>\n</html>", "a\u00a0b", "a\u2003b", "a\u3000 b", "a\u200bb", "\u2028x", "\x85",
    "\x00\x01\x1f\x7f", "\x1ca\x1db", "caf\u00e9 na\u00efve \u00fcber \u00d8re", "e\u0301 combining", "\u00df\u1e9e", "\u0130\u0131", "\u01c5",
    "\u4f60\u597d\u4e16\u754c", "\u3053\u3093\u306b\u3061\u306f", "\uc548\ub155\ud558\uc138\uc694", "\u041f\u0440\u0438\u0432\u0435\u0442 \u043c\u0438\u0440",
    "\u0645\u0631\u062d\u0628\u0627", "\u05e9\u05dc\u05d5\u05dd", "\u0928\u092e\u0938\u094d\u0924\u0947", "\u0e2a\u0e27\u0e31\u0e2a\u0e14\u0e35",
    "\U0001F600\U0001F680", " \U0001F600", "\U0001F468\u200d\U0001F469\u200d\U0001F467", "\U0001F1E9\U0001F1EA", "a\U0001F600b", "\ufeffx", "\ufffd",
    "\u20ac5 \u00a35 $5", "\u2192 \u2190", "\u2018a\u2019 \u201cb\u201d \u2014 \u2026", "\u00ab x \u00bb", "2\u00d73\u00f74", "x\u00b2+y\u00b3", "\u2460\u2461",
    "\U0001D54F\U0001D7D8", "<|im_start|>user\nhi<|im_end|>", "<think>\nno control\n</think>", "<tool_call>", "</s>", "<SPECIAL_3>", "<unk>",
    "thecatsatonthemat", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "zqxjkvbpygfwmucldrhsnioate", "ABCDEFGHIJKLMNOPQRSTUVWXYZ",
]


def random_texts(count):
    source = random.Random(20261122)
    pools = ["abc ABC  \n\t.,<>/=_", "0123 \n", "<>/=abc\n ", "\u00e9\u00fc\u00f1 a\u4f60\U0001F600\u0301", "{}[]\":, ax\n", "\r\n \t\u00a0\u2003x"]
    return ["".join(source.choice(pools[at % len(pools)]) for _ in range(source.randint(1, 40))) for at in range(count)]


def main():
    texts = TEXTS + random_texts(60)
    for (ids, _, _), _ in zip(conversations(7, 0), range(24)):
        texts.append(encoder().decode(ids))
    plain = [{"text": text, "ids": encoder().encode(text)} for text in texts]
    control = [{"text": text, "ids": encoder().encode_template(text)} for text in texts if any(s in text for s in SPECIAL)]
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_text("{\n\"plain\": [\n" + ",\n".join(map(json.dumps, plain)) + "\n],\n\"control\": [\n"
                      + ",\n".join(map(json.dumps, control)) + "\n]\n}\n")
    print(f"{len(plain)} texts, {len(control)} with control tokens")


if __name__ == "__main__":
    main()
