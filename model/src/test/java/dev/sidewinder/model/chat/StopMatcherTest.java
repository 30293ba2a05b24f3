package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

class StopMatcherTest {
    private static final long SEED = 5;

    @Test
    void holdsBackNoMoreThanWhatMayBegin() {
        var matcher = new StopMatcher(List.of("\n\nUser:", "STOP"), false);

        assertThat(matcher.accept("Hello\n")).isEqualTo("Hello");
        assertThat(matcher.accept("\n")).isEmpty();
        assertThat(matcher.accept("\n")).isEqualTo("\n");
        assertThat(matcher.accept("UserST")).isEqualTo("\n\nUser");
        assertThat(matcher.flush()).isEqualTo("ST");
        assertThat(matcher.accept("OP")).isEqualTo("OP");
        assertThat(matcher.matched()).isFalse();
    }

    @Test
    void givesNothingAfterAMatch() {
        var matcher = new StopMatcher(List.of("b"), true);

        assertThat(matcher.accept("abc")).isEqualTo("ab");
        assertThat(matcher.accept("d")).isEmpty();
        assertThat(matcher.flush()).isEmpty();
    }

    @Test
    void letsEverythingThroughWithoutStops() {
        var matcher = new StopMatcher(List.of(), false);
        assertThat(matcher.accept("text")).isEqualTo("text");
        assertThat(matcher.flush()).isEmpty();
    }

    @Test
    void takesTheMatchThatEndsFirstHoweverTheTextIsCut() {
        Random random = new Random(SEED);
        for (int round = 0; round < 20_000; round++) {
            List<String> stops = new ArrayList<>();
            for (int i = random.nextInt(5); i >= 0; i--) {
                stops.add(randomText(random, 1 + random.nextInt(5)));
            }
            String text = randomText(random, random.nextInt(20));
            boolean include = random.nextBoolean();

            var matcher = new StopMatcher(stops, include);
            var found = new StringBuilder();
            for (int at = 0; at < text.length(); ) {
                int end = Math.min(text.length(), at + random.nextInt(4));
                found.append(matcher.accept(text.substring(at, end)));
                at = end;
            }
            found.append(matcher.flush());

            assertThat(found.toString()).as("seed %d, round %d, %s in %s", SEED, round, stops, text)
                    .isEqualTo(expected(text, stops, include));
        }
    }

    private static String randomText(Random random, int length) {
        var text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append((char) ('a' + random.nextInt(3)));
        }
        return text.toString();
    }

    private static String expected(String text, List<String> stops, boolean include) {
        for (int end = 1; end <= text.length(); end++) {
            int longest = 0;
            for (String stop : stops) {
                longest = text.substring(0, end).endsWith(stop) ? Math.max(longest, stop.length()) : longest;
            }
            if (longest > 0) {
                return text.substring(0, include ? end : end - longest);
            }
        }
        return text;
    }
}
