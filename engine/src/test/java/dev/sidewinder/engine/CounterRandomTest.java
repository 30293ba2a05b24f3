package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class CounterRandomTest {

    /// From the file `kat_vectors` of the authors' Random123 library, lines `philox4x32 10`: counter, key, result.
    @ParameterizedTest
    @CsvSource({
        "00000000 00000000 00000000 00000000, 00000000 00000000, 6627e8d5 e169c58d bc57ac4c 9b00dbd8",
        "ffffffff ffffffff ffffffff ffffffff, ffffffff ffffffff, 408f276d 41c83b0e a20bc7c6 6d5451fd",
        "243f6a88 85a308d3 13198a2e 03707344, a4093822 299f31d0, d16cfe09 94fdcceb 5001e420 24126ea1"})
    void computesThePublishedTestVectors(String counter, String key, String expected) {
        int[] words = words(counter);
        CounterRandom.philox(words, words(key)[0], words(key)[1]);
        assertThat(words).isEqualTo(words(expected));
    }

    @Test
    void dependsOnSeedChoiceAndPositionAndOnNothingElse() {
        Set<Long> seen = new HashSet<>();
        for (long seed : new long[] {0, 1, -1, Long.MIN_VALUE, 1L << 32}) {
            for (int choice = 0; choice < 8; choice++) {
                for (int position = 0; position < 100; position++) {
                    long bits = CounterRandom.bits(seed, choice, position);
                    assertThat(bits).isEqualTo(CounterRandom.bits(seed, choice, position));
                    seen.add(bits);
                }
            }
        }
        assertThat(seen).as("5 seeds, 8 choices and 100 positions give as many numbers").hasSize(4000);
    }

    private static int[] words(String hex) {
        String[] parts = hex.trim().split(" ");
        int[] words = new int[parts.length];
        for (int i = 0; i < words.length; i++) {
            words[i] = Integer.parseUnsignedInt(parts[i], 16);
        }
        return words;
    }
}
