package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// A model that says anything a guide allows: at random, with a liking for the pieces of tool calls, whole or broken off,
/// spelled by any tokens.
final class GuidedWalk {
    private static final String[] PIECES = {"\n</parameter>\n", "</parameter>", "\n</function>\n", "</function>", "\n<parameter=",
            "<parameter=", "<parameter=a>\n", "a", "b", "ab", ">\n", "\n", " ", "<", "</", "é", "日", "😀", "null", "None", "true", "12",
            "\n<function=f>\n", "<function=", "\n</parameter>\n<parameter=a>\n", "\n</parameter>\n<parameter=b>\n", "{\"a\": [1, \"",
            "\"", "}", "]", ", ", ": ", "-", "\\", "<tool_call>", "</tool_call>", "</think>"};

    private final Tokenizer tokenizer;
    private final TokenGuide guide;
    private final Random random;
    private final List<byte[]> spellings = new ArrayList<>();
    final List<Integer> tokens = new ArrayList<>();

    GuidedWalk(Tokenizer tokenizer, TokenGuide guide, Random random) {
        this.tokenizer = tokenizer;
        this.guide = guide;
        this.random = random;
        for (int token = 0; token < tokenizer.vocabSize(); token++) {
            spellings.add(tokenizer.isSpecial(token) ? new byte[0] : tokenizer.bytes(token));
        }
    }

    /// Goes on for so many tokens, or until the guide is done or the token for the end comes.
    ///
    /// @param controls tokens that are taken at once, mostly, where they may come
    void run(int most, int end, int... controls) {
        while (tokens.size() < most && !guide.isComplete() && (tokens.isEmpty() || tokens.getLast() != end)) {
            TokenMask mask = guide.allowed();
            int control = controls.length == 0 ? -1 : controls[random.nextInt(controls.length)];
            if (control >= 0 && mask.allows(control) && random.nextInt(3) > 0) {
                take(control);
            } else if (random.nextInt(3) > 0) {
                piece(PIECES[random.nextInt(PIECES.length)], most);
            } else {
                take(any(mask));
            }
        }
    }

    private int any(TokenMask mask) {
        int count = 0;
        int chosen = -1;
        for (int token = 0; token < spellings.size(); token++) {
            if (mask.allows(token) && random.nextInt(++count) == 0) {
                chosen = token;
            }
        }
        assertThat(chosen).as("a token to go on with behind %s", text()).isNotNegative();
        return chosen;
    }

    /// Says a text as far as it is allowed, in tokens of any lengths.
    private void piece(String text, int most) {
        byte[] rest = text.getBytes(StandardCharsets.UTF_8);
        while (rest.length > 0 && tokens.size() < most && !guide.isComplete()) {
            TokenMask mask = guide.allowed();
            int count = 0;
            int chosen = -1;
            for (int token = 0; token < spellings.size(); token++) {
                byte[] spelling = spellings.get(token);
                boolean fits = spelling.length > 0 && spelling.length <= rest.length
                        && Arrays.equals(spelling, 0, spelling.length, rest, 0, spelling.length);
                if (fits && mask.allows(token) && random.nextInt(++count) == 0) {
                    chosen = token;
                }
            }
            if (chosen < 0) {
                return;
            }
            take(chosen);
            rest = Arrays.copyOfRange(rest, spellings.get(chosen).length, rest.length);
        }
    }

    /// Says a text exactly, in tokens of any lengths, each of which must be allowed.
    void say(String text) {
        int before = tokens.size();
        int bytes = 0;
        byte[] whole = text.getBytes(StandardCharsets.UTF_8);
        while (bytes < whole.length) {
            List<Integer> fitting = new ArrayList<>();
            for (int token = 0; token < spellings.size(); token++) {
                byte[] spelling = spellings.get(token);
                if (spelling.length > 0 && bytes + spelling.length <= whole.length
                        && Arrays.equals(spelling, 0, spelling.length, whole, bytes, bytes + spelling.length)) {
                    fitting.add(token);
                }
            }
            int token = fitting.get(random.nextInt(fitting.size()));
            assertThat(guide.allowed().allows(token)).as("\"%s\" behind \"%s\"", tokenizer.spelling(token), text()).isTrue();
            take(token);
            bytes += spellings.get(token).length;
        }
        assertThat(tokens.size()).isGreaterThanOrEqualTo(before);
    }

    /// Says one token, which must be allowed.
    void sayToken(int token) {
        assertThat(guide.allowed().allows(token)).as("\"%s\" behind \"%s\"", tokenizer.spelling(token), text()).isTrue();
        take(token);
    }

    private void take(int token) {
        tokens.add(token);
        guide.accept(token);
    }

    String text() {
        return tokenizer.decode(tokens.stream().mapToInt(Integer::intValue).toArray(), false);
    }
}
