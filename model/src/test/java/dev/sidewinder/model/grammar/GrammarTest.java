package dev.sidewinder.model.grammar;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Masks against every token tried by itself.
class GrammarTest {

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4})
    void aMaskHoldsTheTokensThatLeadSomewhere(long seed) {
        System.out.println("GrammarTest seed " + seed);
        Random random = new Random(seed);
        for (int round = 0; round < 30; round++) {
            byte[][] vocabulary = vocabulary(random);
            TokenTrie trie = new TokenTrie(vocabulary.length, id -> vocabulary[id]);
            var make = new Expressions(1_000_000);
            Grammar grammar = new Grammar(make, language(random, make, 4), trie, vocabulary.length + 70);
            Grammar.State state = grammar.start();
            for (int step = 0; step < 8 && !grammar.isDead(state); step++) {
                TokenMask mask = grammar.mask(state);
                assertThat(grammar.mask(state)).as("made once").isSameAs(mask);
                List<Integer> allowed = new ArrayList<>();
                for (int token = 0; token < vocabulary.length; token++) {
                    boolean leads = vocabulary[token].length > 0 && !grammar.isDead(grammar.after(state, vocabulary[token]));
                    assertThat(mask.allows(token)).as("seed %d round %d token %d", seed, round, token).isEqualTo(leads);
                    if (leads) {
                        allowed.add(token);
                    }
                }
                assertThat(mask.allows(vocabulary.length + 70)).as("the control token").isEqualTo(state.isComplete());
                assertThat(mask.allows(vocabulary.length + 71)).isFalse();
                if (allowed.isEmpty()) {
                    break;
                }
                state = grammar.after(state, vocabulary[allowed.get(random.nextInt(allowed.size()))]);
            }
        }
    }

    /// Short strings of few letters, some twice, some empty, some not ASCII.
    private static byte[][] vocabulary(Random random) {
        byte[][] vocabulary = new byte[1 + random.nextInt(200)][];
        for (int i = 0; i < vocabulary.length; i++) {
            vocabulary[i] = new byte[random.nextInt(6)];
            for (int b = 0; b < vocabulary[i].length; b++) {
                vocabulary[i][b] = (byte) (random.nextInt(12) == 0 ? 0x7F + random.nextInt(3) : 'a' + random.nextInt(3));
            }
        }
        return vocabulary;
    }

    private static Expression language(Random random, Expressions make, int depth) {
        if (depth == 0) {
            return random.nextInt(3) == 0 ? make.oneOf(ByteSet.range('a', 0x80))
                    : make.oneOf(ByteSet.of('a' + random.nextInt(3)));
        }
        Expression one = language(random, make, depth - 1);
        Expression two = language(random, make, depth - 1);
        return switch (random.nextInt(7)) {
            case 0, 1, 2 -> make.sequence(one, two);
            case 3 -> make.anyOf(one, two);
            case 4 -> make.allOf(make.repeat(one), make.not(two));
            default -> make.repeat(make.anyOf(one, two));
        };
    }

    @Test
    void controlTokensAreNoText() {
        try (Model model = Model.open("synthetic:demo")) {
            Tokenizer tokenizer = model.tokenizer().orElseThrow();
            var make = new Expressions(1_000);
            Grammar grammar = new Grammar(make, make.anything(), TokenTrie.of(tokenizer), 14);
            TokenMask mask = grammar.mask(grammar.start());
            for (int token = 0; token < tokenizer.vocabSize(); token++) {
                assertThat(mask.allows(token)).as("token %d, %s", token, tokenizer.spelling(token))
                        .isEqualTo(token == 14 || !tokenizer.isSpecial(token));
            }
        }
    }

    @Test
    void staysRightWhenItForgets() {
        // given a vocabulary so large that few masks are kept, and a language with a state for every length
        int vocabSize = 600_000;
        byte[] letter = {'a'};
        TokenTrie trie = new TokenTrie(vocabSize, id -> id < 2 ? letter : new byte[0]);
        var make = new Expressions(1_000_000);
        Grammar grammar = new Grammar(make, make.upTo(500, make.text("a")), trie, 7);
        Grammar.State state = grammar.start();

        for (int length = 0; length <= 500; length++) {
            TokenMask mask = grammar.mask(state);
            assertThat(mask.allows(0) && mask.allows(1)).as("length %d", length).isEqualTo(length < 500);
            assertThat(mask.allows(7)).isTrue();
            state = grammar.after(state, letter);
        }
        assertThat(grammar.isDead(state)).isTrue();
    }

    @Test
    void masksNameTokensOneByOneOrAllButSome() {
        TokenMask only = TokenMask.only(100);
        TokenMask allBut = TokenMask.allBut(130, List.of(0, 64, 129, 500, -1));
        for (int token = 0; token < 200; token++) {
            assertThat(only.allows(token)).isEqualTo(token == 100);
            assertThat(allBut.allows(token)).isEqualTo(token < 129 && token != 0 && token != 64);
            assertThat(TokenMask.ALL.allows(token)).isTrue();
        }
    }
}
