package dev.sidewinder.model.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/// The demo tokenizer, with entries of its own for the pieces of scripts.
///
/// Pieces of several words are whole vocabulary entries that no merge produces, so text never encodes to them; single
/// words are found by `ignore_merges`.
final class ScriptVocabulary {
    /// A control token, a character outside the basic plane, or a word with the white space behind it.
    private static final Pattern PARTS =
            Pattern.compile("</?(?:think|tool_call)>|[\\x{10000}-\\x{10FFFF}]|[^\\s\\x{10000}-\\x{10FFFF}]+?(?:\\s+|$"
                    + "|(?=</?(?:think|tool_call)>|[\\x{10000}-\\x{10FFFF}]))|\\s+");

    private final ObjectNode tokenizer;
    private final ObjectNode vocabulary;
    private final int ordinary;
    private final Set<Integer> used = new HashSet<>();

    ScriptVocabulary() {
        try (InputStream file = ScriptVocabulary.class.getResourceAsStream("/dev/sidewinder/model/demo/tokenizer.json")) {
            tokenizer = (ObjectNode) new ObjectMapper().readTree(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
        vocabulary = (ObjectNode) tokenizer.at("/model/vocab");
        ordinary = vocabulary.size();
    }

    int size() {
        return vocabulary.size();
    }

    byte[] json() {
        return tokenizer.toString().getBytes(StandardCharsets.UTF_8);
    }

    int control(String name) {
        return vocabulary.get(name).intValue();
    }

    /// The token of a text, a new one if there is none.
    int token(String text) {
        String spelling = spelling(text);
        if (!vocabulary.has(spelling)) {
            vocabulary.put(spelling, vocabulary.size());
        }
        return vocabulary.get(spelling).intValue();
    }

    /// Whether the token was made for a script and cannot come from encoding a text.
    boolean isUnreachable(int token) {
        return token >= ordinary && spellingOf(token).matches(".*[A-Za-z0-9].*[ĠĊ].*");
    }

    String spellingOf(int token) {
        for (var entry : vocabulary.properties()) {
            if (entry.getValue().intValue() == token) {
                return entry.getKey();
            }
        }
        throw new IllegalArgumentException("no token " + token);
    }

    /// Cuts a text into tokens that no script has used: words, joined where a word was used before. Characters outside
    /// the basic plane become their single bytes.
    List<Integer> pieces(String text) {
        List<Integer> tokens = new ArrayList<>();
        List<String> words = new ArrayList<>();
        Matcher parts = PARTS.matcher(text);
        int end = 0;
        while (parts.find()) {
            if (parts.start() != end) {
                throw new IllegalArgumentException("cannot be cut: \"" + text.substring(end) + "\"");
            }
            end = parts.end();
            String part = parts.group();
            boolean control = part.matches("</?(?:think|tool_call)>");
            if (!control && part.codePointAt(0) < 0x10000) {
                words.add(part);
                continue;
            }
            addUnused(words, tokens);
            if (control) {
                tokens.add(control(part));
            } else {
                for (char unit : spelling(part).toCharArray()) {
                    tokens.add(vocabulary.get(String.valueOf(unit)).intValue());
                }
            }
        }
        addUnused(words, tokens);
        return tokens;
    }

    private void addUnused(List<String> words, List<Integer> tokens) {
        int first = tokens.size();
        List<String> texts = new ArrayList<>();
        String pending = "";
        for (String word : words) {
            pending += word;
            if (isUnused(pending)) {
                take(pending, texts, tokens);
                pending = "";
            }
        }
        // a rest that was used before joins the pieces in front of it
        while (!pending.isEmpty()) {
            if (tokens.size() == first && vocabulary.has(spelling(pending)) && token(pending) < ordinary) {
                // a token of every text, such as the newline between two calls
                tokens.add(token(pending));
                break;
            }
            if (tokens.size() == first) {
                throw new IllegalArgumentException("another script has the same text: \"" + pending + "\"");
            }
            used.remove(tokens.removeLast());
            pending = texts.removeLast() + pending;
            if (isUnused(pending)) {
                take(pending, texts, tokens);
                pending = "";
            }
        }
        words.clear();
    }

    private boolean isUnused(String text) {
        String spelling = spelling(text);
        return spelling.length() > 1
                && (!vocabulary.has(spelling) || !used.contains(vocabulary.get(spelling).intValue()));
    }

    private void take(String text, List<String> texts, List<Integer> tokens) {
        int token = token(text);
        used.add(token);
        texts.add(text);
        tokens.add(token);
    }

    /// Marks a token as one that scripts must not contain.
    void reserve(int token) {
        if (!used.add(token)) {
            throw new IllegalArgumentException("\"" + spellingOf(token) + "\" is in use already");
        }
    }

    /// A text in the byte alphabet of the vocabulary.
    static String spelling(String text) {
        var spelling = new StringBuilder();
        for (byte value : text.getBytes(StandardCharsets.UTF_8)) {
            int code = value & 0xFF;
            boolean printable = code >= '!' && code <= '~' || code >= 0xA1 && code <= 0xAC || code >= 0xAE;
            spelling.append((char) (printable ? code : substitute(code)));
        }
        return spelling.toString();
    }

    private static int substitute(int code) {
        if (code <= 0x20) {
            return 0x100 + code;
        }
        return code == 0xAD ? 0x143 : 0x121 + code - 0x7F;
    }
}
