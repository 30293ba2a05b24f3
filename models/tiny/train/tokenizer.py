"""The tokenizer of the tiny model: byte-level BPE, trained on text of the generator.

    python3 tokenizer.py --replace      makes ../tokenizer.json anew; no weights that exist fit to a new one

The file in the repository is frozen. It was made from what the generator wrote at its first commit, which this script
repeats there to the byte; a later generator gives another.

`Encoder` gives the same ids as the tokenizers library does for that file; a Java test holds both to recorded ids. Texts
are cut into pieces first: a tag of the chat format with its line end, a word or a single digit with the space in front
of it, a run of other characters, line ends, other white space. Each piece is merged on its own, so pieces are kept in a cache."""

import heapq
import json
import re
import sys
import unicodedata
from collections import Counter, defaultdict
from pathlib import Path

VOCABULARY = 2560
# Counts as so often, however rare it is: enough for a token of its own, which the report of `main` confirms.
CLOSED_WORD_COUNT = 250
CONTROL = {0: "<unk>", 1: "<s>", 2: "</s>", 10: "<|im_start|>", 11: "<|im_end|>", 12: "<think>", 13: "</think>",
           14: "<tool_call>", 15: "</tool_call>", 16: "<tool_response>", 17: "</tool_response>"}
SPECIAL = [CONTROL.get(token, f"<SPECIAL_{token}>") for token in range(18)]
END, IM_START, IM_END, THINK, THINK_END, CALL, CALL_END, RESPONSE, RESPONSE_END = 2, 10, 11, 12, 13, 14, 15, 16, 17

# As in tokenizer.json. The same for Python's `re` is made below, which knows no \p{L}.
PATTERN = (r"</?[a-z]+[=>]\n?| ?\p{L}+| ?\p{N}| ?(?:[^\s\p{L}\p{N}<]+|<+)|[\r\n]+|\s+(?!\S)|\s+")
FOLDER = Path(__file__).resolve().parent.parent


def byte_alphabet():
    """The character by which each byte is spelled: printable ones by themselves, the others from U+0100 on."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    spare = iter(range(0x100, 0x200))
    return [chr(byte if byte in printable else next(spare)) for byte in range(256)]


ALPHABET = byte_alphabet()
BYTE_OF = {character: byte for byte, character in enumerate(ALPHABET)}


def _ranges(initial):
    """A character class of all code points whose category begins with `initial`."""
    parts, start = [], None
    for point in range(sys.maxunicode + 2):
        inside = point <= sys.maxunicode and unicodedata.category(chr(point))[0] == initial
        if inside and start is None:
            start = point
        elif not inside and start is not None:
            parts.append(f"\\U{start:08x}-\\U{point - 1:08x}")
            start = None
    return "".join(parts)


def _pattern(letters, digits, space):
    text = PATTERN.replace(r"[^\s\p{L}\p{N}<]", f"[^{space}{letters}{digits}<]")
    text = text.replace(r"\p{L}", f"[{letters}]").replace(r"\p{N}", f"[{digits}]")
    return re.compile(text.replace(r"\s", f"[{space}]").replace(r"\S", f"[^{space}]"))


ASCII = _pattern("A-Za-z", "0-9", r"\t-\r ")
_unicode = None


def pieces(text):
    """Cuts a text without control tokens into what is merged on its own."""
    global _unicode
    if text.isascii():
        return ASCII.findall(text)
    if _unicode is None:
        _unicode = _pattern(_ranges("L"), _ranges("N"), "\\t-\\r \\x85\\xa0\\u1680\\u2000-\\u200a\\u2028\\u2029\\u202f\\u205f\\u3000")
    return _unicode.findall(text)


def spell(piece):
    return "".join(ALPHABET[byte] for byte in piece.encode())


class Encoder:
    """Text to ids and back."""

    def __init__(self, vocabulary, merges):
        self.vocabulary = vocabulary
        self.names = {token: spelling for spelling, token in vocabulary.items()}
        self.ranks = {pair: rank for rank, pair in enumerate(merges)}
        self.cache = {}

    @classmethod
    def open(cls, path=FOLDER / "tokenizer.json"):
        model = json.loads(Path(path).read_text())["model"]
        return cls(model["vocab"], [tuple(pair) for pair in model["merges"]])

    def encode(self, text):
        """The ids of a text; what looks like a control token in it is ordinary text."""
        cache, ids = self.cache, []
        for piece in pieces(text):
            found = cache.get(piece)
            if found is None:
                found = self._merge(piece)
                if len(cache) < 1_000_000:
                    cache[piece] = found
            ids += found
        return ids

    def encode_template(self, text):
        """The ids of a rendered template, in which the names of control tokens are these tokens."""
        ids = []
        for part in _CONTROLS.split(text):
            if part in _CONTROL_IDS:
                ids.append(_CONTROL_IDS[part])
            elif part:
                ids += self.encode(part)
        return ids

    def _merge(self, piece):
        symbols = [ALPHABET[byte] for byte in piece.encode()]
        ranks = self.ranks
        while len(symbols) > 1:
            rank, at = min((ranks.get(pair, len(ranks)), at) for at, pair in enumerate(zip(symbols, symbols[1:])))
            if rank == len(ranks):
                break
            symbols[at:at + 2] = [symbols[at] + symbols[at + 1]]
        return [self.vocabulary[symbol] for symbol in symbols]

    def decode(self, ids):
        return b"".join(self.names[one].encode() if one < len(SPECIAL) else bytes(BYTE_OF[c] for c in self.names[one])
                        for one in ids).decode("utf-8", "replace")


_CONTROL_IDS = {name: token for token, name in enumerate(SPECIAL)}
_CONTROLS = re.compile("(" + "|".join(re.escape(name) for name in SPECIAL) + ")")


def learn(counts, merges_wanted):
    """The merges of a byte-level BPE over pieces and how often each occurs. Ties go to the pair that sorts first."""
    words = [[ALPHABET[byte] for byte in piece.encode()] for piece in counts]
    weights = list(counts.values())
    pairs, where = Counter(), defaultdict(set)
    for at, word in enumerate(words):
        for pair in zip(word, word[1:]):
            pairs[pair] += weights[at]
            where[pair].add(at)
    heap = [(-count, pair) for pair, count in pairs.items()]
    heapq.heapify(heap)
    merges = []
    while len(merges) < merges_wanted:
        count, best = heapq.heappop(heap)
        if pairs[best] != -count:
            continue  # an entry from before the count changed
        merges.append(best)
        changed = set()
        for at in where.pop(best):
            word, weight = words[at], weights[at]
            for pair in zip(word, word[1:]):
                pairs[pair] -= weight
                changed.add(pair)
            merged, k = [], 0
            while k < len(word):
                joined = k + 1 < len(word) and (word[k], word[k + 1]) == best
                merged.append(word[k] + word[k + 1] if joined else word[k])
                k += 2 if joined else 1
            words[at] = merged
            for pair in zip(merged, merged[1:]):
                pairs[pair] += weight
                where[pair].add(at)
                changed.add(pair)
        changed.discard(best)
        for pair in changed:
            heapq.heappush(heap, (-pairs[pair], pair))
        pairs[best] = 0
    return merges


def file_of(merges):
    """The content of tokenizer.json."""
    vocabulary = {name: token for token, name in enumerate(SPECIAL)}
    for spelling in ALPHABET:
        vocabulary[spelling] = len(vocabulary)
    for left, right in merges:
        vocabulary[left + right] = len(vocabulary)
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [{"id": token, "content": name, "single_word": False, "lstrip": False, "rstrip": False,
                          "normalized": False, "special": True} for token, name in enumerate(SPECIAL)],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": False},
            {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]},
        "post_processor": None,
        "decoder": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": vocabulary, "merges": [list(pair) for pair in merges]}}


def main():
    from corpus import closed_lists, corpus
    if sys.argv[1:] != ["--replace"]:
        sys.exit("tokenizer.json is frozen, because weights belong to it; --replace makes another one")
    counts = Counter()
    for text in corpus():
        counts.update(pieces(text))
    # a piece that came once or twice is chance: random codes and made-up words
    counts = {piece: count for piece, count in sorted(counts.items()) if count > 2 and len(piece) > 1}
    for word in closed_lists():
        counts[word] = max(counts.get(word, 0), CLOSED_WORD_COUNT)
    merges = learn(counts, VOCABULARY - len(SPECIAL) - 256)
    (FOLDER / "tokenizer.json").write_text(json.dumps(file_of(merges), ensure_ascii=False, indent=1) + "\n")
    encoder = Encoder.open()
    split = [word for word in closed_lists() if len(encoder.encode(word)) > 1]
    print(f"closed words of more than one token: {split}")
    print(f"{len(counts)} pieces, {len(merges)} merges; the last is {merges[-1]}")


if __name__ == "__main__":
    main()
