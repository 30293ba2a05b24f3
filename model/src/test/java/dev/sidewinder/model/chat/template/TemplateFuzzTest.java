package dev.sidewinder.model.chat.template;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.chat.ChatTemplateException;
import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.model.tokenizer.TextRun;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.time.Clock;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/// Whatever a template says, it renders or ends with one of the two exceptions, in bounded time.
class TemplateFuzzTest {
    private static final int MUTATIONS = 6_000;
    private static final List<String> PIECES = List.of("{{ ", " }}", "{% ", " %}", "{%- ", " -%}", "{# ", " #}", "if ", "else", "endif",
            "for x in ", "endfor", "recursive", "set ", "endset", "macro ", "endmacro", "call ", "endcall", "filter ", "endfilter",
            "namespace(", "loop", "loop(", "range(", "(", ")", "[", "]", "{", "}", ":", "::-1", ",", ".", "|", "|tojson", "|length",
            "|sort", "|map('upper')", "|join", "|int", "|items", " is defined", " is not ", " in ", " not ", " and ", " or ", "~",
            "+", "-", "*", "**", "/", "//", "%", "==", "<", ">=", "=", "'", "\"", "\\", "\n", "0", "1e9", "999999999999999999999",
            "messages", "tools", "none", "true", "''", ".items()", ".split(", ".strip()", "raise_exception(", "break", "continue",
            "generation", "endgeneration", "raw", "endraw", "😀", "\u0000", "%s", "{}", ".format(", "x", "caller()", "varargs");

    private static String resource(String name) {
        try (InputStream in = TemplateFuzzTest.class.getResourceAsStream("/chat-templates/" + name)) {
            return new String(in.readAllBytes(), StandardCharsets.UTF_8);
        } catch (IOException e) {
            throw new IllegalStateException(name, e);
        }
    }

    private static String mutated(Random random, String source, String other) {
        StringBuilder mutated = new StringBuilder(source);
        int changes = 1 + random.nextInt(6);
        for (int i = 0; i < changes; i++) {
            int at = random.nextInt(mutated.length() + 1);
            int to = Math.min(mutated.length(), at + random.nextInt(12));
            switch (random.nextInt(5)) {
                case 0 -> mutated.delete(at, to);
                case 1 -> mutated.insert(at, PIECES.get(random.nextInt(PIECES.size())));
                case 2 -> mutated.replace(at, to, PIECES.get(random.nextInt(PIECES.size())));
                case 3 -> {
                    int from = random.nextInt(other.length() + 1);
                    mutated.insert(at, other, from, Math.min(other.length(), from + random.nextInt(60)));
                }
                default -> mutated.insert(at, mutated.substring(at, to).repeat(1 + random.nextInt(3)));
            }
        }
        return mutated.toString();
    }

    @Test
    @Timeout(300)
    void mutatedTemplatesRenderOrFailCleanly() throws IOException {
        List<String> sources = new ArrayList<>(List.of(resource("constructs.txt").split("\n?=== [^\n]+\n")));
        for (String name : List.of("nano", "lightning", "dated-tools", "alternating", "thinking-tools", "typed-schemas")) {
            sources.add(resource("templates/" + name + ".jinja"));
        }
        ObjectNode variables = (ObjectNode) new ObjectMapper().readTree(resource("variables.json"));
        int rendered = 0;
        int refusedAtStart = 0;
        int refusedLater = 0;
        for (int seed = 0; seed < MUTATIONS; seed++) {
            Random random = new Random(seed);
            String source = mutated(random, sources.get(random.nextInt(sources.size())), sources.get(random.nextInt(sources.size())));
            try {
                Template template = Template.compile("mutated", source);
                List<TextRun> runs = template.render(variables, Map.of("bos_token", "<s>"), Clock.systemUTC());
                assertThat(runs).noneMatch(run -> run.text().isEmpty());
                rendered++;
            } catch (CheckpointException refused) {
                assertThat(refused).hasMessageMatching("(?s)mutated, line \\d+: .+");
                refusedAtStart++;
            } catch (ChatTemplateException refused) {
                assertThat(refused).hasMessageMatching("(?s)mutated, line \\d+: .*");
                refusedLater++;
            } catch (RuntimeException | StackOverflowError | OutOfMemoryError unexpected) {
                throw new AssertionError("seed " + seed + ": " + source, unexpected);
            }
        }
        // so the mutations are neither all harmless nor all broken
        assertThat(List.of(rendered, refusedAtStart, refusedLater)).allMatch(count -> count > MUTATIONS / 50);
    }

    @Test
    @Timeout(120)
    void everyPrefixOfATemplateRendersOrFailsCleanly() throws IOException {
        String source = resource("templates/nano.jinja");
        ObjectNode variables = (ObjectNode) new ObjectMapper().readTree(resource("variables.json"));
        for (int length = 0; length < source.length(); length += 3) {
            try {
                Template.compile("prefix", source.substring(0, length)).render(variables, Map.of(), Clock.systemUTC());
            } catch (CheckpointException | ChatTemplateException refused) {
                assertThat(refused).hasMessageMatching("(?s)prefix, line \\d+: .+");
            }
        }
    }
}
