// Makes the tokenizer of the demonstration and synthetic models: byte-level BPE with a vocabulary of exactly 512.
//
//   node make.mjs <output folder>
//
// Ids: 0..2 and 10..17 are the control tokens of the Nemotron-3 chat format where its publisher has them, the other ids
// below 32 are reserved names, 32..287 are the 256 bytes, 288..511 the merges learned from corpus.txt (our own text).
// The same corpus gives the same file byte for byte: counts decide, then spelling.
import { readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const VOCABULARY = 512;
const RESERVED = 32;
const CONTROL = {
  0: "<unk>", 1: "<s>", 2: "</s>", 10: "<|im_start|>", 11: "<|im_end|>", 12: "<think>", 13: "</think>",
  14: "<tool_call>", 15: "</tool_call>", 16: "<tool_response>", 17: "</tool_response>",
};
// Optional punctuation and a word (two alternatives split CamelCase), single digits, punctuation runs, white space.
const SPLIT = String.raw`[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+`
  + String.raw`|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*`
  + String.raw`|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+`;

/** The printable character that stands for a byte in a byte-level vocabulary (as in GPT-2). */
function byteAlphabet() {
  const printable = (b) => (b >= 0x21 && b <= 0x7e) || (b >= 0xa1 && b <= 0xac) || (b >= 0xae && b <= 0xff);
  let next = 256;
  return Array.from({ length: 256 }, (_, b) => String.fromCharCode(printable(b) ? b : next++));
}

/** Words of the corpus in byte spelling, with how often each occurs. */
function words(corpus, alphabet) {
  const counts = new Map();
  for (const [word] of corpus.matchAll(new RegExp(SPLIT, "gu"))) {
    const spelling = [...Buffer.from(word, "utf8")].map((b) => alphabet[b]).join("");
    counts.set(spelling, (counts.get(spelling) ?? 0) + 1);
  }
  return [...counts].map(([spelling, count]) => ({ pieces: [...spelling], count }));
}

function mostFrequentPair(entries) {
  const counts = new Map();
  for (const { pieces, count } of entries) {
    for (let i = 0; i + 1 < pieces.length; i++) {
      const pair = pieces[i] + " " + pieces[i + 1];
      counts.set(pair, (counts.get(pair) ?? 0) + count);
    }
  }
  const [best] = [...counts].sort(([a, n], [b, m]) => m - n || (a < b ? -1 : 1))[0];
  return best.split(" ");
}

function merge(pieces, [left, right]) {
  const merged = [];
  for (let i = 0; i < pieces.length; i++) {
    const joins = pieces[i] === left && pieces[i + 1] === right;
    merged.push(joins ? left + right : pieces[i]);
    if (joins) i++;
  }
  return merged;
}

const here = dirname(fileURLToPath(import.meta.url));
const output = process.argv[2];
if (!output) throw new Error("usage: node make.mjs <output folder>");
const alphabet = byteAlphabet();
const entries = words(readFileSync(join(here, "corpus.txt"), "utf8"), alphabet);

const vocab = {};
for (let id = 0; id < RESERVED; id++) vocab[CONTROL[id] ?? `<SPECIAL_${id}>`] = id;
alphabet.forEach((spelling, b) => { vocab[spelling] = RESERVED + b; });
const merges = [];
for (let id = RESERVED + 256; id < VOCABULARY;) {
  const pair = mostFrequentPair(entries);
  merges.push(pair);
  if (!(pair.join("") in vocab)) vocab[pair.join("")] = id++;
  for (const entry of entries) entry.pieces = merge(entry.pieces, pair);
}

const added = Object.entries(vocab).filter(([, id]) => id < RESERVED).map(([content, id]) => ({
  id, content, single_word: false, lstrip: false, rstrip: false, normalized: false, special: true,
}));
const tokenizer = {
  version: "1.0",
  truncation: null,
  padding: null,
  added_tokens: added,
  normalizer: null,
  pre_tokenizer: {
    type: "Sequence",
    pretokenizers: [
      { type: "Split", pattern: { Regex: SPLIT }, behavior: "Isolated", invert: false },
      { type: "ByteLevel", add_prefix_space: false, trim_offsets: true, use_regex: false },
    ],
  },
  post_processor: {
    type: "TemplateProcessing",
    single: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } }],
    pair: [{ SpecialToken: { id: "<s>", type_id: 0 } }, { Sequence: { id: "A", type_id: 0 } },
      { Sequence: { id: "B", type_id: 1 } }],
    special_tokens: { "<s>": { id: "<s>", ids: [1], tokens: ["<s>"] } },
  },
  decoder: { type: "ByteLevel", add_prefix_space: true, trim_offsets: true, use_regex: true },
  model: {
    type: "BPE", dropout: null, unk_token: null, continuing_subword_prefix: null, end_of_word_suffix: null,
    fuse_unk: false, byte_fallback: false, ignore_merges: true, vocab, merges,
  },
};
// One vocabulary entry and one merge per line, so that a change can be read in a diff.
const text = JSON.stringify(tokenizer, null, 1).replace(/\[\n\s+"([^\n]*)",\n\s+"([^\n]*)"\n\s+\]/g, '["$1", "$2"]');
if (JSON.stringify(JSON.parse(text)) !== JSON.stringify(tokenizer)) throw new Error("the compact form changed the content");
writeFileSync(join(output, "tokenizer.json"), text + "\n");
