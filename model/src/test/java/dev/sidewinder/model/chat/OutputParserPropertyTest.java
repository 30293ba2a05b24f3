package dev.sidewinder.model.chat;

import static dev.sidewinder.model.chat.Answer.CALL;
import static dev.sidewinder.model.chat.Answer.END_CALL;
import static dev.sidewinder.model.chat.Answer.END_THINK;
import static dev.sidewinder.model.chat.Answer.THINK;
import static org.assertj.core.api.Assertions.assertThat;

import java.lang.management.ManagementFactory;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;

/// Random streams of tags, pieces of tags and text.
class OutputParserPropertyTest {
    private static final long SEED = 20261122;
    private static final int ROUNDS = 30_000;
    private static final String[] FRAGMENTS = {"\n", "\n", " ", "<", ">", "</", "<function=", "f>", "<function=f>",
        "<function=f>\n", "</function>", "\n</function>\n", "<parameter=", "s>", "<parameter=s>\n", "\n<parameter=i>\n",
        "\n<parameter=code>\n", "</parameter>", "\n</parameter>\n", "<param", "eter=o>", "x", "42", "null", "{\"a\": 1}",
        "True", "\"", "\\", "é", "\uD83D\uDE00", "Text. ", "</tool_call>", "<think>", "STOP", "ST", "OP"};

    private static List<Answer.Piece> randomPieces(Random random) {
        List<Answer.Piece> pieces = new ArrayList<>();
        for (int i = random.nextInt(25); i >= 0; i--) {
            pieces.add(switch (random.nextInt(12)) {
                case 0 -> Answer.Piece.of(END_THINK);
                case 1 -> Answer.Piece.of(CALL);
                case 2 -> Answer.Piece.of(END_CALL);
                case 3 -> Answer.Piece.of(random.nextInt(4) == 0 ? THINK : END_THINK);
                default -> Answer.Piece.text(FRAGMENTS[random.nextInt(FRAGMENTS.length)]);
            });
        }
        return pieces;
    }

    /// The same stream with its texts cut elsewhere.
    private static List<Answer.Piece> regrouped(List<Answer.Piece> pieces, Random random) {
        List<Answer.Piece> regrouped = new ArrayList<>();
        var text = new StringBuilder();
        for (Answer.Piece piece : pieces) {
            if (piece.token() == Answer.PLAIN) {
                text.append(piece.text());
            } else {
                cut(text, regrouped, random);
                regrouped.add(piece);
            }
        }
        cut(text, regrouped, random);
        return regrouped;
    }

    private static void cut(StringBuilder text, List<Answer.Piece> pieces, Random random) {
        int longest = random.nextBoolean() ? 3 : 40;
        for (int at = 0; at < text.length(); ) {
            int end = Math.min(text.length(), at + random.nextInt(longest));
            if (end > at && end < text.length() && Character.isLowSurrogate(text.charAt(end))) {
                end++;
            }
            pieces.add(Answer.Piece.text(text.substring(at, end)));
            at = end;
        }
        text.setLength(0);
    }

    @Test
    void anyGroupingGivesTheSameMessage() {
        Random random = new Random(SEED);
        for (int round = 0; round < ROUNDS; round++) {
            List<Answer.Piece> pieces = randomPieces(random);
            boolean stops = random.nextInt(3) == 0;
            NemotronOutputParser.Options options = stops
                    ? Answer.stopping(random.nextBoolean(), random.nextBoolean(), 0, "STOP", "x\n", "OPx")
                    : Answer.options(random.nextBoolean());
            ChatOutputParser.End end = random.nextBoolean() ? ChatOutputParser.End.STOP : ChatOutputParser.End.LENGTH;

            Answer one = new Answer(options).pieces(pieces);
            Answer other = new Answer(options).pieces(regrouped(pieces, random));

            assertThat(other.end(end)).as("seed %d, round %d: %s", SEED, round, pieces).isEqualTo(one.end(end));
            assertThat(other.parser().counts()).as("seed %d, round %d", SEED, round).isEqualTo(one.parser().counts());
            assertThat(other.parser().stopped()).isEqualTo(one.parser().stopped());
        }
    }

    @Test
    void callsAreWholeAndJsonUnlessCut() {
        Random random = new Random(SEED + 1);
        int calls = 0;
        for (int round = 0; round < ROUNDS; round++) {
            List<Answer.Piece> pieces = randomPieces(random);
            boolean thinking = random.nextBoolean();
            Answer answer = new Answer(Answer.options(thinking)).pieces(pieces);
            Answer.Message message = answer.stop();

            for (Answer.Call call : message.calls()) {
                assertThat(call.json().isObject()).as("seed %d, round %d: %s", SEED, round, pieces).isTrue();
                assertThat(call.ended()).isTrue();
                calls++;
            }
            OutputCounts counts = answer.parser().counts();
            assertThat(answer.parser().toolCalls()).isEqualTo(message.calls().size());
            assertThat(counts.ok() + counts.coercedRaw() + counts.hoisted() + counts.malformed())
                    .isGreaterThanOrEqualTo(message.calls().size());
            assertThat(thinking || message.reasoning().isEmpty()).isTrue();
        }
        assertThat(calls).as("the streams are not too random to hold calls").isGreaterThan(500);
    }

    @Test
    void textIsNeverLost() {
        // given streams whose letters tell where they came from
        Random random = new Random(SEED + 2);
        for (int round = 0; round < ROUNDS; round++) {
            List<Answer.Piece> pieces = randomPieces(random);
            var letters = new StringBuilder();
            for (Answer.Piece piece : pieces) {
                if (piece.token() == Answer.PLAIN) {
                    letters.append(marks(piece.text()));
                }
            }
            var options = new NemotronOutputParser.Options(random.nextBoolean(), Answer.CONTROL, Answer.tools(), true, false,
                    List.of(), false, 0);
            Answer.Message message = new Answer(options).pieces(pieces).stop();

            // then every mark is somewhere, as often as it was sent
            var found = new StringBuilder(marks(message.reasoning())).append(marks(message.content()));
            for (Answer.Call call : message.calls()) {
                found.append(marks(call.name()));
                call.json().forEachEntry((key, value) -> found.append(marks(key))
                        .append(marks(value.isTextual() ? value.asText() : value.toString())));
            }
            assertThat(sorted(found)).as("seed %d, round %d: %s", SEED, round, pieces).isEqualTo(sorted(letters));
        }
    }

    /// Characters that occur in no tag, are not framing white space, and that no conversion changes.
    private static String marks(String text) {
        return text.replaceAll("[^é\uD83D\uDE00.STOP]", "");
    }

    private static String sorted(CharSequence text) {
        return text.chars().sorted().collect(StringBuilder::new, StringBuilder::appendCodePoint, StringBuilder::append)
                .toString();
    }

    @Test
    void timeIsLinearInTheOutput() {
        String[] worst = {"a", "<", "\n", "</function>", "</function> ", "\n<parameter=", "</parameter", "\n<", "STO", " "};
        for (String unit : worst) {
            for (boolean thinking : new boolean[] {false, true}) {
                long small = nanos(unit, 1 << 15, thinking);
                long large = nanos(unit, 1 << 20, thinking);
                // 32 times the text: quadratic would take 1,024 times as long; text beyond the caches takes some times as long by itself
                assertThat(large).as("\"%s\" %d ns, then %d ns", unit, small, large)
                        .isLessThan(320 * Math.max(small, 1_000_000));
            }
        }
    }

    /// Processor time of one call with a value of that many characters, the best of three.
    private static long nanos(String unit, int characters, boolean thinking) {
        var threads = ManagementFactory.getThreadMXBean();
        String value = unit.repeat(characters / unit.length());
        long best = Long.MAX_VALUE;
        for (int i = 0; i < 3; i++) {
            var parser = new NemotronOutputParser(Answer.stopping(thinking, false, 0, "STOP", "STOX"));
            long start = threads.getCurrentThreadCpuTime();
            parser.accept(Answer.PLAIN, "<");
            feed(parser, value);
            parser.accept(CALL, "<tool_call>");
            parser.accept(Answer.PLAIN, "<function=f><parameter=s>\n");
            feed(parser, value);
            parser.accept(Answer.PLAIN, "\n</parameter></function>");
            parser.accept(END_CALL, "</tool_call>");
            parser.finish("", ChatOutputParser.End.STOP);
            best = Math.min(best, threads.getCurrentThreadCpuTime() - start);
            assertThat(parser.toolCalls()).isOne();
        }
        return best;
    }

    private static void feed(NemotronOutputParser parser, String value) {
        for (int at = 0; at < value.length(); at += 7) {
            parser.accept(Answer.PLAIN, value.substring(at, Math.min(value.length(), at + 7)));
        }
    }
}
