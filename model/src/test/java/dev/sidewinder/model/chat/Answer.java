package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.model.tokenizer.ControlTokens;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;

/// Feeds a parser and puts its deltas together, checking their order.
final class Answer {
    static final ObjectMapper JSON = new ObjectMapper();
    static final int PLAIN = 100;
    static final int THINK = 12;
    static final int END_THINK = 13;
    static final int CALL = 14;
    static final int END_CALL = 15;
    static final ControlTokens CONTROL = new ControlTokens(OptionalInt.of(10), OptionalInt.of(11),
            OptionalInt.of(THINK), OptionalInt.of(END_THINK), OptionalInt.of(CALL), OptionalInt.of(END_CALL),
            OptionalInt.of(16), OptionalInt.of(17));

    /// @param ended whether the end of the call was told
    record Call(String name, String arguments, boolean ended) {
        JsonNode json() {
            try {
                return JSON.readTree(arguments);
            } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
                throw new AssertionError("arguments are no JSON: " + arguments, e);
            }
        }
    }

    record Message(String reasoning, String content, List<Call> calls) {}

    /// One token and its text.
    record Piece(int token, String text) {
        static Piece of(int tag) {
            return new Piece(tag, switch (tag) {
                case THINK -> "<think>";
                case END_THINK -> "</think>";
                case CALL -> "<tool_call>";
                case END_CALL -> "</tool_call>";
                default -> throw new IllegalArgumentException("no tag: " + tag);
            });
        }

        static Piece text(String text) {
            return new Piece(PLAIN, text);
        }
    }

    private final NemotronOutputParser parser;
    private final StringBuilder reasoning = new StringBuilder();
    private final StringBuilder content = new StringBuilder();
    private final List<String> names = new ArrayList<>();
    private final List<StringBuilder> arguments = new ArrayList<>();
    private final List<Boolean> ended = new ArrayList<>();
    final List<OutputDelta> deltas = new ArrayList<>();

    Answer(NemotronOutputParser.Options options) {
        parser = new NemotronOutputParser(options);
    }

    static Answer thinking() {
        return new Answer(options(true));
    }

    static Answer plain() {
        return new Answer(options(false));
    }

    static NemotronOutputParser.Options options(boolean thinking) {
        return new NemotronOutputParser.Options(thinking, CONTROL, tools(), true, true, List.of(), false, 0);
    }

    static NemotronOutputParser.Options stopping(boolean thinking, boolean include, int minTokens, String... stops) {
        return new NemotronOutputParser.Options(thinking, CONTROL, tools(), true, true, List.of(stops), include,
                minTokens);
    }

    static Map<String, JsonNode> tools() {
        return Map.of("f", json("""
                {"type": "object", "properties": {
                  "s": {"type": "string"}, "s2": {"type": "string"}, "code": {"type": "string"},
                  "i": {"type": "integer"}, "n": {"type": "number"}, "b": {"type": "boolean"},
                  "o": {"type": "object"}, "a": {"type": "array"}, "z": {"type": "null"},
                  "ns": {"type": ["string", "null"]}, "ni": {"anyOf": [{"type": "null"}, {"type": "integer"}]},
                  "either": {"oneOf": [{"type": "integer"}, {"type": "boolean"}, {"type": "string"}]},
                  "e": {"enum": [1, 2, 3]}, "ref": {"$ref": "#/$defs/Count"}
                 }, "$defs": {"Count": {"type": "integer"}}}"""), "g", json("{}"));
    }

    static JsonNode json(String text) {
        try {
            return JSON.readTree(text);
        } catch (com.fasterxml.jackson.core.JsonProcessingException e) {
            throw new AssertionError(e);
        }
    }

    NemotronOutputParser parser() {
        return parser;
    }

    /// Text as one token.
    Answer text(String text) {
        return piece(Piece.text(text));
    }

    Answer tag(int tag) {
        return piece(Piece.of(tag));
    }

    Answer piece(Piece piece) {
        take(parser.accept(piece.token(), piece.text()));
        return this;
    }

    Answer pieces(List<Piece> pieces) {
        pieces.forEach(this::piece);
        return this;
    }

    /// A block with this inside.
    Answer call(String inside) {
        return tag(CALL).text(inside).tag(END_CALL);
    }

    Message stop() {
        return end(ChatOutputParser.End.STOP);
    }

    Message length() {
        return end(ChatOutputParser.End.LENGTH);
    }

    Message end(ChatOutputParser.End end) {
        take(parser.finish("", end));
        return message();
    }

    Message message() {
        List<Call> calls = new ArrayList<>();
        for (int i = 0; i < names.size(); i++) {
            calls.add(new Call(names.get(i), arguments.get(i).toString(), ended.get(i)));
        }
        return new Message(reasoning.toString(), content.toString(), calls);
    }

    private void take(List<OutputDelta> more) {
        for (OutputDelta delta : more) {
            deltas.add(delta);
            switch (delta) {
                case OutputDelta.Reasoning(String text) -> reasoning.append(notEmpty(text));
                case OutputDelta.Content(String text) -> content.append(notEmpty(text));
                case OutputDelta.ToolCallStarted(int index, String name) -> {
                    assertThat(index).isEqualTo(names.size());
                    assertThat(ended).doesNotContain(false);
                    names.add(name);
                    arguments.add(new StringBuilder());
                    ended.add(false);
                }
                case OutputDelta.ToolCallArguments(int index, String json) -> {
                    assertThat(index).isEqualTo(names.size() - 1);
                    assertThat(ended.get(index)).isFalse();
                    arguments.get(index).append(notEmpty(json));
                }
                case OutputDelta.ToolCallEnded(int index) -> {
                    assertThat(index).isEqualTo(names.size() - 1);
                    assertThat(ended.set(index, true)).isFalse();
                }
            }
        }
    }

    private static String notEmpty(String text) {
        assertThat(text).isNotEmpty();
        return text;
    }
}
