package dev.sidewinder.model.chat;

import static dev.sidewinder.model.chat.GuideOptions.Calls.FORCED;
import static dev.sidewinder.model.chat.GuideOptions.Calls.FORCED_ONE;
import static dev.sidewinder.model.chat.GuideOptions.Calls.FREE;
import static dev.sidewinder.model.chat.GuideOptions.Calls.FREE_ONE;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TokenDecoder;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What guides allow against what the parser reads: one is the other's language, both ways.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class AnswerGuideTest {
    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Pattern BLOCK = Pattern.compile(
            "\n<function=([A-Za-z0-9_.-]+)>\n((?:<parameter=[^>]+>\n.*?\n</parameter>\n)*)</function>\n", Pattern.DOTALL);
    private static final Pattern PARAMETER = Pattern.compile("<parameter=([^>]+)>\n(.*?)\n</parameter>\n", Pattern.DOTALL);
    private static final int END = 11;
    private static final int THINK = 12;
    private static final int END_THINK = 13;
    private static final int CALL = 14;
    private static final int END_CALL = 15;

    private Model model;
    private Tokenizer tokenizer;
    private AnswerGuides guides;

    @BeforeAll
    void open() {
        model = Model.open("synthetic:demo");
        tokenizer = model.tokenizer().orElseThrow();
        guides = new AnswerGuides(tokenizer, ControlTokens.of(tokenizer), 600, AnswerGuides.CLOSING_TEXT);
        // the numbers below
        assertThat(ControlTokens.of(tokenizer).toolCallEnd()).hasValue(END_CALL);
    }

    @AfterAll
    void close() {
        model.close();
    }

    private static CallableTool tool(String name) {
        return new CallableTool(name, JSON.createObjectNode(), false);
    }

    private TokenGuide guide(boolean thinking, GuideOptions.Calls calls, CallableTool... tools) {
        return guide(new GuideOptions(thinking, Optional.empty(), List.of(tools), calls, Set.of(2, END)));
    }

    private TokenGuide guide(GuideOptions options) {
        return guides.of(options).orElseThrow().get();
    }

    private GuidedWalk walk(TokenGuide guide) {
        return new GuidedWalk(tokenizer, guide, new Random(1));
    }

    // ---- both directions

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void whateverIsAllowedIsReadBackAsExactlyThatCall(long seed) {
        System.out.println("AnswerGuideTest seed " + seed);
        Random random = new Random(seed);
        int complete = 0;
        for (int round = 0; round < 120; round++) {
            GuideOptions.Calls calls = random.nextBoolean() ? FORCED : FORCED_ONE;
            List<CallableTool> tools = List.of(tool("f"), tool("get_weather"), tool("f.g-2"));
            TokenGuide guide = guide(new GuideOptions(false, Optional.empty(), tools, calls, Set.of(END)));
            GuidedWalk walk = new GuidedWalk(tokenizer, guide, random);
            walk.run(50 + random.nextInt(900), END, CALL, END_CALL, END, END);
            String as = "seed " + seed + " round " + round + ": " + walk.text();

            Read read = read(walk.tokens, tools, calls == FORCED_ONE, false);
            List<String> blocks = blocks(walk.tokens);
            boolean cut = walk.tokens.contains(CALL) && walk.tokens.lastIndexOf(CALL) > walk.tokens.lastIndexOf(END_CALL);
            for (int i = 0; i < blocks.size() - (cut ? 1 : 0); i++) {
                assertThat(read.calls.get(i)).as(as).isEqualTo(reference(blocks.get(i)));
                complete++;
            }
            // a block that was cut before it had a name is text
            boolean unnamed = cut && !read.content.isEmpty();
            assertThat(read.content).as(as).matches(unnamed ? "\n{0,2}<tool_call>\n?[^>\n]*" : "");
            assertThat(read.counts.malformed()).as(as).isEqualTo(unnamed ? 1 : 0);
            assertThat(read.counts.coercedRaw() + read.counts.hoisted()).as(as).isZero();
            assertThat(read.counts.ok()).as(as).isEqualTo(blocks.size() - (cut ? 1 : 0));
            if (!cut && !walk.tokens.isEmpty() && walk.tokens.getLast() == END) {
                assertThat(read.counts.ok()).as(as).isPositive();
            }
        }
        System.out.println("AnswerGuideTest seed " + seed + ": " + complete + " complete calls");
        assertThat(complete).isGreaterThan(30);
    }

    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void everyCallThatCanBeReadBackIsAllowedHoweverItIsSpelled(long seed) {
        System.out.println("AnswerGuideTest seed " + seed);
        Random random = new Random(seed);
        for (int round = 0; round < 60; round++) {
            Map<String, String> arguments = new LinkedHashMap<>();
            for (int i = random.nextInt(5); i > 0; i--) {
                String key = drawn(random, 1 + random.nextInt(12)).replaceAll("[<>\\p{Cntrl}]", "_");
                arguments.put(key, drawn(random, random.nextInt(40)));
            }
            arguments.values().removeIf(value -> !CallText.isValue(value));
            TokenGuide guide = guide(false, random.nextBoolean() ? FREE : FORCED, tool("f"), tool("get_weather"));
            GuidedWalk walk = new GuidedWalk(tokenizer, guide, random);
            walk.sayToken(CALL);
            StringBuilder call = new StringBuilder("\n<function=get_weather>\n");
            arguments.forEach((key, value) -> call.append("<parameter=").append(key).append(">\n").append(value)
                    .append("\n</parameter>\n"));
            walk.say(call + "</function>\n");
            walk.sayToken(END_CALL);

            Read read = read(walk.tokens, List.of(tool("get_weather")), false, false);
            assertThat(read.calls).containsExactly(new Call("get_weather", arguments));
        }
    }

    private static String drawn(Random random, int length) {
        String[] letters = {"a", "b", "\n", "<", ">", "/", "parameter", "=", "function", "</function>", "\n<", " ", "é", "日", "😀", "\t",
                "\"", "\\", "</", "<parameter", "{", "\u0000", "\r"};
        var text = new StringBuilder();
        for (int i = 0; i < length; i++) {
            text.append(letters[random.nextInt(letters.length)]);
        }
        return text.toString();
    }

    // ---- where what is enforced

    @Test
    void aForcedCallBeginsWithTheFirstContentToken() {
        TokenGuide guide = guide(false, FORCED, tool("f"));
        assertThat(allowed(guide)).containsExactly(CALL);
    }

    @Test
    void behindAForcedCallComesAnotherOrTheEnd() {
        TokenGuide guide = guide(false, FORCED, tool("f"));
        GuidedWalk walk = walk(guide);
        walk.sayToken(CALL);
        walk.say("\n<function=f>\n</function>\n");
        assertThat(allowed(guide)).as("only the end of the call").containsExactly(END_CALL);
        walk.sayToken(END_CALL);
        assertThat(allowed(guide)).contains(CALL, END, 2).doesNotContain(END_CALL, THINK, END_THINK);
        walk.say("\n");
        assertThat(allowed(guide)).contains(CALL, END);
        walk.sayToken(CALL);
        assertThat(allowed(guide)).doesNotContain(CALL, END, 2, END_CALL);
        assertThat(guide.isComplete()).isFalse();
    }

    @Test
    void oneCallEndsTheAnswerWhereOnlyOneIsWanted() {
        for (GuideOptions.Calls calls : List.of(FORCED_ONE, FREE_ONE)) {
            TokenGuide guide = guide(false, calls, tool("f"));
            GuidedWalk walk = walk(guide);
            walk.sayToken(CALL);
            walk.say("\n<function=f>\n</function>\n");
            assertThat(guide.isComplete()).isFalse();
            walk.sayToken(END_CALL);
            assertThat(guide.isComplete()).isTrue();
        }
    }

    @Test
    void aFreeAnswerIsHeldFromTheTagOnOnly() {
        TokenGuide guide = guide(false, FREE, tool("f"));
        assertThat(guide.allowed().isAll()).isTrue();
        GuidedWalk walk = walk(guide);
        walk.say("<tool_call>\n<function=");
        assertThat(guide.allowed().isAll()).as("the tag as text is text").isTrue();
        walk.sayToken(CALL);
        assertThat(guide.allowed().isAll()).isFalse();
        walk.say("\n<function=");
        assertThat(allowed(guide).stream().map(token -> new String(tokenizer.bytes(token)))).allMatch("f>\n"::startsWith);
        walk.say("f>\n</function>\n");
        walk.sayToken(END_CALL);
        assertThat(guide.allowed().isAll()).isTrue();
    }

    @Test
    void namesAreThoseOfTheToolsOnly() {
        TokenGuide guide = guide(false, FORCED, tool("ab"), tool("abc"));
        GuidedWalk walk = walk(guide);
        walk.sayToken(CALL);
        walk.say("\n<function=ab");
        assertThat(allowed(guide).stream().map(token -> new String(tokenizer.bytes(token))))
                .isNotEmpty().allMatch(text -> ">\n</function>\n<parameter=".startsWith(text.substring(0, 1)) || "c>\n".startsWith(text));
        walk.say("c");
        assertThat(allowed(guide).stream().map(token -> new String(tokenizer.bytes(token)))).allMatch(text -> text.startsWith(">"));
    }

    @Test
    void reasoningIsFreeAndAForcedCallFollowsIt() {
        TokenGuide guide = guide(true, FORCED, tool("f"));
        assertThat(allowed(guide, 600)).as("everything but the ends of the turn, rows beyond the vocabulary too")
                .hasSize(600 - 2).doesNotContain(2, END);
        GuidedWalk walk = walk(guide);
        walk.say("thinking\n");
        walk.sayToken(END_THINK);
        // the newlines behind it are no content
        assertThat(allowed(guide).stream().filter(token -> token != CALL).map(token -> new String(tokenizer.bytes(token))))
                .isNotEmpty().allMatch(text -> text.matches("\n{1,2}"));
        walk.say("\n\n");
        assertThat(allowed(guide)).containsExactly(CALL);
        Read read = read(walk.tokens, List.of(tool("f")), false, true);
        assertThat(read.content).isEmpty();
    }

    @Test
    void reasoningOfAFreeAnswerMayEndTheTurn() {
        assertThat(guide(true, FREE, tool("f")).allowed().isAll()).isTrue();
    }

    @Test
    void aCallInsideReasoningIsHeldToItsGrammarAndClosesIt() {
        for (GuideOptions.Calls calls : List.of(FREE, FORCED)) {
            TokenGuide guide = guide(true, calls, tool("f"));
            GuidedWalk walk = walk(guide);
            walk.say("so\n");
            walk.sayToken(CALL);
            assertThat(allowed(guide)).doesNotContain(END, END_THINK);
            walk.say("\n<function=f>\n</function>\n");
            walk.sayToken(END_CALL);
            assertThat(guide.allowed().isAll()).isEqualTo(calls == FREE);
            Read read = read(walk.tokens, List.of(tool("f")), false, true);
            assertThat(read.counts.hoisted()).isOne();
            assertThat(read.calls).containsExactly(new Call("f", Map.of()));
        }
    }

    @Test
    void stopTokensThatAreTextDoNotComeInsideACall() {
        int letter = tokenizer.encode("f", false)[0];
        TokenGuide guide = guide(new GuideOptions(false, Optional.empty(), List.of(tool("fine")), FORCED, Set.of(letter, END)));
        GuidedWalk walk = walk(guide);
        walk.sayToken(CALL);
        assertThat(guide.allowed().allows(letter)).isFalse();
        TokenGuide free = guide(new GuideOptions(false, Optional.empty(), List.of(tool("fine")), FREE, Set.of(letter)));
        assertThat(free.allowed().allows(letter)).as("outside it does").isTrue();
    }

    @Test
    void aNameComesOnlyOnce() {
        TokenGuide guide = guide(false, FORCED, tool("f"));
        GuidedWalk walk = walk(guide);
        walk.sayToken(CALL);
        walk.say("\n<function=f>\n<parameter=a>\n1\n</parameter>\n<parameter=ab>\n2\n</parameter>\n<parameter=a");
        List<String> behindA = allowed(guide).stream().map(token -> new String(tokenizer.bytes(token))).toList();
        assertThat(behindA).isNotEmpty().noneMatch(text -> text.startsWith(">") || text.startsWith("b>"));
        walk.say("bc>\n");
    }

    @Test
    void aNameEndsBeforeTheParserGivesItUp() {
        TokenGuide guide = guide(false, FORCED, tool("f"));
        GuidedWalk walk = walk(guide);
        walk.sayToken(CALL);
        walk.say("\n<function=f>\n<parameter=");
        int name = 0;
        while (allowed(guide).stream().anyMatch(token -> tokenizer.bytes(token)[0] == 'x')) {
            walk.say("x");
            name++;
        }
        assertThat(name).isBetween(900, 1023);
        walk.say(">\n1\n</parameter>\n</function>\n");
        walk.sayToken(END_CALL);
        assertThat(read(walk.tokens, List.of(tool("f")), false, false).calls)
                .containsExactly(new Call("f", Map.of("x".repeat(name), "1")));
    }

    @Test
    void nothingIsHeldWhereNothingIsAsked() {
        assertThat(guides.of(new GuideOptions(true, Optional.empty(), List.of(), FREE, Set.of(END)))).isEmpty();
        assertThatThrownBy(() -> guides.of(new GuideOptions(true, Optional.empty(), List.of(), FORCED, Set.of(END))))
                .isInstanceOf(IllegalStateException.class);
    }

    @Test
    void guidesOfOneRequestKnowNothingOfEachOther() {
        var source = guides.of(new GuideOptions(false, Optional.empty(), List.of(tool("f")), FORCED, Set.of(END))).orElseThrow();
        TokenGuide one = source.get();
        TokenGuide two = source.get();
        walk(one).sayToken(CALL);
        assertThat(two.allowed().allows(CALL)).isTrue();
        assertThat(one.allowed().allows(CALL)).isFalse();
    }

    // ---- reading

    private List<Integer> allowed(TokenGuide guide) {
        return allowed(guide, tokenizer.vocabSize());
    }

    private static List<Integer> allowed(TokenGuide guide, int rowLength) {
        List<Integer> allowed = new ArrayList<>();
        for (int token = 0; token < rowLength; token++) {
            if (guide.allowed().allows(token)) {
                allowed.add(token);
            }
        }
        return allowed;
    }

    record Call(String name, Map<String, String> arguments) {}

    private record Read(List<Call> calls, String content, OutputCounts counts) {}

    /// What stands between the tags.
    private List<String> blocks(List<Integer> tokens) {
        List<String> blocks = new ArrayList<>();
        List<Integer> block = null;
        for (int token : tokens) {
            if (token == CALL) {
                block = new ArrayList<>();
            } else if (token == END_CALL) {
                blocks.add(tokenizer.decode(block.stream().mapToInt(Integer::intValue).toArray(), false));
                block = null;
            } else if (block != null) {
                block.add(token);
            }
        }
        if (block != null) {
            blocks.add("");
        }
        return blocks;
    }

    /// Reads a block by a regular expression: an independent reading of the format.
    private static Call reference(String block) {
        Matcher matcher = BLOCK.matcher(block);
        assertThat(matcher.matches()).as("a call: %s", block).isTrue();
        Map<String, String> arguments = new HashMap<>();
        Matcher parameter = PARAMETER.matcher(matcher.group(2));
        while (parameter.find()) {
            arguments.put(parameter.group(1), parameter.group(2));
        }
        return new Call(matcher.group(1), arguments);
    }

    /// Reads tokens by the parser that serves answers.
    private Read read(List<Integer> tokens, List<CallableTool> tools, boolean one, boolean thinking) {
        Map<String, JsonNode> schemas = new HashMap<>();
        tools.forEach(tool -> schemas.put(tool.name(), tool.parameters()));
        var parser = new NemotronOutputParser(new NemotronOutputParser.Options(thinking, ControlTokens.of(tokenizer), schemas, !one,
                true, List.of(), false, 0));
        TokenDecoder decoder = tokenizer.decoder(false);
        List<OutputDelta> deltas = new ArrayList<>();
        boolean ended = false;
        for (int token : tokens) {
            if (token == END || token == 2) {
                ended = true;
            } else {
                deltas.addAll(parser.accept(token, decoder.accept(token)));
            }
        }
        deltas.addAll(parser.finish(decoder.finish(), ended ? ChatOutputParser.End.STOP : ChatOutputParser.End.LENGTH));
        return joined(deltas, parser.counts());
    }

    private static Read joined(List<OutputDelta> deltas, OutputCounts counts) {
        List<String> names = new ArrayList<>();
        List<StringBuilder> arguments = new ArrayList<>();
        List<Call> calls = new ArrayList<>();
        var content = new StringBuilder();
        for (OutputDelta delta : deltas) {
            switch (delta) {
                case OutputDelta.Content(String text) -> content.append(text);
                case OutputDelta.Reasoning _ -> { }
                case OutputDelta.ToolCallStarted(int _, String name) -> {
                    names.add(name);
                    arguments.add(new StringBuilder());
                }
                case OutputDelta.ToolCallArguments(int index, String json) -> arguments.get(index).append(json);
                case OutputDelta.ToolCallEnded(int index) -> {
                    Map<String, String> read = new HashMap<>();
                    object(arguments.get(index).toString()).properties().forEach(each -> {
                        assertThat(each.getValue().isTextual()).isTrue();
                        read.put(each.getKey(), each.getValue().textValue());
                    });
                    calls.add(new Call(names.get(index), read));
                }
            }
        }
        return new Read(calls, content.toString(), counts);
    }

    private static ObjectNode object(String json) {
        try {
            return (ObjectNode) JSON.readTree(json);
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new AssertionError("arguments are no JSON: " + json, e);
        }
    }

}
