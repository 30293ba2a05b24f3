package dev.sidewinder.bench.simulate;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.HashSet;
import java.util.List;

/// Traffic in a file: JSON lines of either of two forms, described in docs/simulator.md.
///
/// A line with `turns` is a conversation of ours. A line with `hash_ids` is a request as published with Mooncake (Qin et al.
/// 2025, "Mooncake: trading more storage for less computation"): its prompt is named in blocks of 512 tokens, so that common
/// beginnings show, and nothing is known of conversations.
final class TraceFile {

    private static final int HASHED_BLOCK_TOKENS = 512;

    private static final JsonMapper MAPPER = JsonMapper.builder().enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS).build();

    private TraceFile() {}

    /// @throws IllegalArgumentException naming file and line where one cannot be understood
    static Traffic read(Path file) throws IOException {
        List<Conversation> conversations = new ArrayList<>();
        var names = new HashSet<String>();
        int number = 0;
        try (BufferedReader reader = Files.newBufferedReader(file)) {
            for (String line = reader.readLine(); line != null; line = reader.readLine()) {
                number++;
                if (line.isBlank()) {
                    continue;
                }
                Conversation conversation = conversation(file, number, line);
                if (!names.add(conversation.name())) {
                    throw new IllegalArgumentException(file + " line " + number + ": a conversation \"" + conversation.name()
                            + "\" came before; names are unique");
                }
                conversations.add(conversation);
            }
        }
        if (conversations.isEmpty()) {
            throw new IllegalArgumentException(file + " has no requests");
        }
        conversations.sort(Comparator.comparingDouble(Conversation::arrivalSeconds));
        return new Traffic("recorded, " + file.getFileName(), conversations);
    }

    private static Conversation conversation(Path file, int number, String line) {
        try {
            JsonNode node = MAPPER.readTree(line);
            if (node.has("hash_ids")) {
                return hashed(node, number);
            }
            return own(node);
        } catch (JsonProcessingException invalid) {
            throw new IllegalArgumentException(file + " line " + number + ": is not valid JSON: " + invalid.getOriginalMessage(), invalid);
        } catch (IllegalArgumentException wrong) {
            throw new IllegalArgumentException(file + " line " + number + ": " + wrong.getMessage(), wrong);
        }
    }

    private static Conversation own(JsonNode node) {
        List<Turn> turns = new ArrayList<>();
        for (JsonNode turn : required(node, "turns")) {
            int reasoning = (int) number(turn, "reasoning_tokens", 0);
            int answer = (int) number(turn, "answer_tokens");
            turns.add(new Turn(input(text(turn, "input", "user")), number(turn, "delay_seconds", 0),
                    passages(required(turn, "messages")), reasoning, answer, (int) number(turn, "max_tokens", reasoning + answer)));
        }
        return new Conversation(required(node, "conversation").asText(), text(node, "kind", "trace"), text(node, "tenant", ""),
                (int) number(node, "priority", 0), number(node, "at_seconds"),
                node.has("system") ? passages(node.get("system")) : List.of(), turns);
    }

    private static Turn.Input input(String name) {
        return switch (name) {
            case "user" -> Turn.Input.USER;
            case "tool" -> Turn.Input.TOOL;
            default -> throw new IllegalArgumentException("\"input\" is \"" + name + "\"; it is \"user\" or \"tool\"");
        };
    }

    private static Conversation hashed(JsonNode node, int number) {
        int length = (int) number(node, "input_length");
        List<Passage> blocks = new ArrayList<>();
        int left = length;
        for (JsonNode id : node.get("hash_ids")) {
            int tokens = Math.min(HASHED_BLOCK_TOKENS, left);
            blocks.add(new Passage("hash" + id.asText(), tokens));
            left -= tokens;
        }
        if (left > 0) {
            throw new IllegalArgumentException("\"input_length\" is " + length + " and " + blocks.size() + " hashes name "
                    + blocks.size() * HASHED_BLOCK_TOKENS + " tokens at most");
        }
        int answer = Math.max(1, (int) number(node, "output_length"));
        var turn = new Turn(Turn.Input.USER, 0, blocks, 0, answer, answer);
        return new Conversation("line" + number, "trace", "", 0, number(node, "timestamp") / 1000, List.of(), List.of(turn));
    }

    private static List<Passage> passages(JsonNode nodes) {
        List<Passage> passages = new ArrayList<>();
        for (JsonNode node : nodes) {
            passages.add(new Passage(required(node, "content").asText(), (int) number(node, "tokens")));
        }
        return passages;
    }

    private static JsonNode required(JsonNode node, String field) {
        if (!node.hasNonNull(field)) {
            throw new IllegalArgumentException("there is no \"" + field + "\" in " + node);
        }
        return node.get(field);
    }

    private static String text(JsonNode node, String field, String otherwise) {
        return node.hasNonNull(field) ? node.get(field).asText() : otherwise;
    }

    private static double number(JsonNode node, String field, double otherwise) {
        return node.hasNonNull(field) ? number(node, field) : otherwise;
    }

    private static double number(JsonNode node, String field) {
        JsonNode value = required(node, field);
        if (!value.isNumber()) {
            throw new IllegalArgumentException("\"" + field + "\" is " + value + " and has to be a number");
        }
        return value.asDouble();
    }

    /// Writes traffic in our own form, so that it can be run again, changed, or generated elsewhere.
    static void write(Path file, Traffic traffic) throws IOException {
        try (BufferedWriter writer = Files.newBufferedWriter(file)) {
            for (Conversation conversation : traffic.conversations()) {
                writer.write(MAPPER.writeValueAsString(line(conversation)));
                writer.newLine();
            }
        }
    }

    private static ObjectNode line(Conversation conversation) {
        ObjectNode node = MAPPER.createObjectNode();
        node.put("conversation", conversation.name()).put("kind", conversation.kind()).put("tenant", conversation.tenant());
        node.put("priority", conversation.priority()).put("at_seconds", conversation.arrivalSeconds());
        addPassages(node.putArray("system"), conversation.system());
        ArrayNode turns = node.putArray("turns");
        for (Turn turn : conversation.turns()) {
            ObjectNode each = turns.addObject();
            each.put("input", turn.input() == Turn.Input.USER ? "user" : "tool").put("delay_seconds", turn.delaySeconds());
            addPassages(each.putArray("messages"), turn.messages());
            each.put("reasoning_tokens", turn.reasoningTokens()).put("answer_tokens", turn.answerTokens());
            each.put("max_tokens", turn.limitTokens());
        }
        return node;
    }

    private static void addPassages(ArrayNode nodes, List<Passage> passages) {
        for (Passage passage : passages) {
            nodes.addObject().put("content", passage.content()).put("tokens", passage.tokens());
        }
    }
}
