package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.stream.Stream;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.Arguments;
import org.junit.jupiter.params.provider.MethodSource;

/// Every field on every route at the edges of its range, derived from the table itself.
class ParameterTableTest {

    private static final int MAX_MODEL_TOKENS = 1_000_000;
    private static final int VOCAB_SIZE = 131_072;
    private static final Bounds BOUNDS = new Bounds(ApiLimits.standard(), MAX_MODEL_TOKENS, VOCAB_SIZE);
    private static final RequestReader READER = new RequestReader(ApiOptions.standard(), MAX_MODEL_TOKENS, VOCAB_SIZE);
    private static final String ACCEPTED = "accepted";

    static Stream<Arguments> edges() {
        List<Arguments> cases = new ArrayList<>();
        for (Endpoint endpoint : Endpoint.values()) {
            for (Parameter parameter : ParameterTable.of(endpoint)) {
                addCases(cases, endpoint, parameter, parameter.name(), "%s");
            }
        }
        return cases.stream();
    }

    private static void addCases(List<Arguments> cases, Endpoint endpoint, Parameter parameter, String path, String frame) {
        var add = new CaseList(cases, endpoint, path, frame);
        add.value("null", parameter.required() ? "missing_required_parameter" : ACCEPTED);
        switch (parameter.type()) {
            case ParameterType.Flag _ -> {
                add.wrongTypes("1", "\"true\"", "[]", "{}");
            }
            case ParameterType.Int type -> addIntegers(add, type);
            case ParameterType.Decimal type -> addDecimals(add, type);
            case ParameterType.Text type -> addTexts(add, type);
            case ParameterType.Word type -> {
                type.values().forEach(word -> add.value(quoted(word), null));
                add.value(quoted("nonsense"), "invalid_value");
                add.value("\"\"", "invalid_value");
                add.wrongTypes("1", "true", "[]", "{}");
            }
            case ParameterType.TextList type -> addTextLists(add, type);
            case ParameterType.TokenIds type -> addTokenIds(add, type);
            case ParameterType.LogitBias type -> addLogitBias(add, type);
            case ParameterType.Group type -> {
                add.wrongTypes("1", "true", "[]", "\"\"");
                for (Parameter child : type.fields()) {
                    addCases(cases, endpoint, child, path + "." + child.name(),
                            frame.formatted("{\"" + child.name() + "\":%s}"));
                }
            }
            case ParameterType.Composite type -> {
                add.wrongTypes("1", "true");
                if (!type.shapes().contains(ParameterType.Shape.ARRAY)) {
                    add.wrongTypes("[]", "[1]");
                }
                if (!type.shapes().contains(ParameterType.Shape.OBJECT)) {
                    add.wrongTypes("{}", "{\"a\":1}");
                }
                if (type.shapes().contains(ParameterType.Shape.ARRAY) && type.min().resolve(BOUNDS) > 0) {
                    add.value("[]", "array_below_min_length");
                }
                if (type.max().resolve(BOUNDS) < 10_000 && type.shapes().contains(ParameterType.Shape.ARRAY)) {
                    add.value(list("{}", type.max().resolve(BOUNDS) + 1), "array_above_max_length");
                }
            }
            case ParameterType.Unused type -> {
                long max = type.bytes().resolve(BOUNDS);
                for (String value : List.of("1", "true", "[]", "{}", "\"\"", "[{\"a\":[1]}]")) {
                    add.value(value, ACCEPTED);
                }
                add.value(quoted("x".repeat((int) max - 2)), ACCEPTED);
                add.value(quoted("x".repeat((int) max - 1)), "string_above_max_length");
            }
            case ParameterType.Refused type -> {
                add.value("{\"some\":\"thing\"}", type.code());
                add.value("[1,2,3]", type.code());
                add.value("\"some thing\"", type.code());
            }
        }
    }

    private static void addIntegers(CaseList add, ParameterType.Int type) {
        long min = type.min().resolve(BOUNDS);
        long max = type.max().resolve(BOUNDS);
        add.value(String.valueOf(min), null);
        add.value(String.valueOf(max), null);
        add.value(new java.math.BigInteger(String.valueOf(min)).subtract(java.math.BigInteger.ONE).toString(),
                "integer_below_min_value");
        add.value(new java.math.BigInteger(String.valueOf(max)).add(java.math.BigInteger.ONE).toString(),
                "integer_above_max_value");
        add.value("1e30", "integer_above_max_value");
        add.value("-1e30", "integer_below_min_value");
        add.value("99999999999999999999999999999999", "integer_above_max_value");
        add.value("-9999999999999999999999999999999", "integer_below_min_value");
        if (min < 2 && max >= 2) {
            add.value("2.0", null);
        }
        add.wrongTypes("1.5", "\"1\"", "true", "[]", "{}", "\"\"", "[1]");
    }

    private static void addDecimals(CaseList add, ParameterType.Decimal type) {
        add.value(String.valueOf(type.min()), ACCEPTED);
        add.value(String.valueOf(type.max()), ACCEPTED);
        add.value(String.valueOf(Math.nextDown(type.min())), "decimal_below_min_value");
        add.value(String.valueOf(Math.nextUp(type.max())), "decimal_above_max_value");
        add.value("1e300", "decimal_above_max_value");
        add.value("-1e300", "decimal_below_min_value");
        add.value("99999999999999999999999999999999", "decimal_above_max_value");
        add.wrongTypes("\"1\"", "true", "[]", "{}", "\"\"");
    }

    private static void addTexts(CaseList add, ParameterType.Text type) {
        long min = type.min().resolve(BOUNDS);
        long max = type.max().resolve(BOUNDS);
        add.value("\"\"", min > 0 ? "string_below_min_length" : null);
        if (max < 100_000) {
            // characters are counted, not UTF-16 units
            add.value(quoted("😀".repeat((int) max)), null);
            add.value(quoted("x".repeat((int) max + 1)), "string_above_max_length");
            add.value(quoted("x".repeat(1_000_000)), "string_above_max_length");
        }
        add.wrongTypes("1", "true", "[]", "{}", "[\"a\"]");
    }

    private static void addTextLists(CaseList add, ParameterType.TextList type) {
        long items = type.items().resolve(BOUNDS);
        long chars = type.chars().resolve(BOUNDS);
        String longest = quoted("x".repeat((int) chars));
        String tooLong = quoted("x".repeat((int) chars + 1));
        add.value("[]", ACCEPTED);
        add.value(list("\"x\"", items), ACCEPTED);
        add.value(list("\"x\"", items + 1), "array_above_max_length");
        add.value(list("\"x\"", 1_000_000), "array_above_max_length");
        add.value(list(longest, 1), ACCEPTED);
        add.item("[" + tooLong + "]", "string_above_max_length", "[0]");
        add.item("[\"a\",\"\"]", "string_below_min_length", "[1]");
        add.item("[\"a\",1]", "invalid_type", "[1]");
        add.value("\"x\"", type.single() ? ACCEPTED : "invalid_type");
        add.value("\"\"", type.single() ? "string_below_min_length" : "invalid_type");
        add.wrongTypes("1", "true", "{}");
    }

    private static void addTokenIds(CaseList add, ParameterType.TokenIds type) {
        long min = type.minItems().resolve(BOUNDS);
        long max = type.maxItems().resolve(BOUNDS);
        add.value("[]", min > 0 ? "array_below_min_length" : null);
        add.value("[0," + (VOCAB_SIZE - 1) + "]", null);
        add.item("[0,-1]", "integer_below_min_value", "[1]");
        add.item("[" + VOCAB_SIZE + "]", "integer_above_max_value", "[0]");
        add.item("[\"1\"]", "invalid_type", "[0]");
        add.item("[1.5]", "invalid_type", "[0]");
        add.item("[null]", "invalid_type", "[0]");
        add.item("[[1]]", "invalid_type", "[0]");
        if (max < 100_000) {
            add.value(list("1", max), null);
            add.value(list("1", max + 1), "array_above_max_length");
        }
        add.value(list("1", MAX_MODEL_TOKENS + 1), "array_above_max_length");
        add.wrongTypes("1", "true", "{}", "\"1\"");
    }

    private static void addLogitBias(CaseList add, ParameterType.LogitBias type) {
        add.value("{}", ACCEPTED);
        add.value("{\"0\":-100,\"" + (VOCAB_SIZE - 1) + "\":100}", ACCEPTED);
        for (String key : List.of("-1", "01", "1e3", "", "x", "1.0", " 1", String.valueOf(VOCAB_SIZE), "99999999999999")) {
            add.item("{\"" + key + "\":1}", "invalid_value", "." + key);
        }
        add.item("{\"5\":-100.5}", "decimal_below_min_value", ".5");
        add.item("{\"5\":101}", "decimal_above_max_value", ".5");
        add.item("{\"5\":\"1\"}", "invalid_type", ".5");
        add.item("{\"5\":null}", "invalid_type", ".5");
        int max = (int) type.entries().resolve(BOUNDS);
        add.value(entries(max), ACCEPTED);
        add.value(entries(max + 1), "array_above_max_length");
        add.wrongTypes("1", "true", "[]", "\"\"");
    }

    @ParameterizedTest(name = "{0} {1} = {5}")
    @MethodSource("edges")
    void holdsAtTheEdges(Endpoint endpoint, String path, String field, String code, String param, String shown, String value) {
        // given a request that is right except, perhaps, for one field
        byte[] body = body(endpoint, field, value).getBytes(StandardCharsets.UTF_8);

        // when it is read
        ApiException refused = catchThrowableOfType(ApiException.class, () -> read(endpoint, body));

        // then the mistake has its code and its path, and what is right passes
        if (code == null || code.equals(ACCEPTED)) {
            // a value inside its range may still break a rule between fields or ask for what this build lacks
            if (refused != null && code == null) {
                assertThat(refused.error().code()).isIn("invalid_value", "unsupported_value", "missing_required_parameter",
                        "integer_above_max_value");
                return;
            }
            if (refused != null) {
                assertThat(refused.error().param()).startsWith("stream_options");
                assertThat(refused.error().code()).isEqualTo("invalid_value");
            }
        } else {
            assertThat(refused).as("refusal").isNotNull();
            assertThat(refused.error().status()).isEqualTo(400);
            assertThat(refused.error().code()).isEqualTo(code);
            assertThat(refused.error().param()).isEqualTo(param);
            assertThat(refused.error().details()).hasSizeLessThanOrEqualTo(ApiError.MAX_DETAILS);
        }
    }

    static Object read(Endpoint endpoint, byte[] body) {
        return switch (endpoint) {
            case CHAT -> READER.chat(body);
            case COMPLETIONS -> READER.completion(body);
            case GENERATE -> READER.generate(body);
            case TOKENIZE -> READER.tokenize(body);
            case DETOKENIZE -> READER.detokenize(body);
            case CACHE_RESET -> READER.cacheReset(body);
            case SESSION -> READER.session(body);
            case SESSION_FORK -> READER.sessionFork(body);
        };
    }

    private static String body(Endpoint endpoint, String field, String value) {
        String base = switch (endpoint) {
            case CHAT -> "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]";
            case COMPLETIONS -> "\"prompt\":\"hi\"";
            case GENERATE -> field.equals("token_ids") ? "" : "\"prompt\":\"hi\"";
            case TOKENIZE -> field.equals("messages") ? "" : "\"prompt\":\"hi\"";
            case DETOKENIZE -> "\"tokens\":[]";
            case CACHE_RESET -> "\"cache_salt\":\"s\"";
            case SESSION -> "\"tools\":[]";
            case SESSION_FORK -> "\"name\":\"n\"";
        };
        boolean isBase = base.startsWith("\"" + field + "\"") || base.isEmpty();
        String text = isBase ? "" : base + ",";
        if (value.equals("null") && (endpoint == Endpoint.GENERATE || endpoint == Endpoint.TOKENIZE) && isBase) {
            text = endpoint == Endpoint.GENERATE
                    ? field.equals("prompt") ? "\"token_ids\":[1]," : "\"prompt\":\"hi\","
                    : field.equals("prompt") ? "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]," : "\"prompt\":\"hi\",";
        }
        return "{" + text + "\"" + field + "\":" + value + "}";
    }

    private static String quoted(String text) {
        return "\"" + text + "\"";
    }

    private static String list(String item, long count) {
        return "[" + String.join(",", Collections.nCopies((int) count, item)) + "]";
    }

    private static String entries(int count) {
        var entries = new ArrayList<String>();
        for (int i = 0; i < count; i++) {
            entries.add("\"" + i + "\":1");
        }
        return "{" + String.join(",", entries) + "}";
    }

    /// Adds cases of one field. A code of null allows what rules between fields say.
    private record CaseList(List<Arguments> cases, Endpoint endpoint, String path, String frame) {

        void value(String value, String code) {
            item(value, code, "");
        }

        void item(String value, String code, String suffix) {
            String shown = value.length() > 40 ? value.substring(0, 40) + "… (" + value.length() + ")" : value;
            String field = path.contains(".") ? path.substring(0, path.indexOf('.')) : path;
            cases.add(Arguments.of(endpoint, path, field, code, path + suffix, shown, frame.formatted(value)));
        }

        void wrongTypes(String... values) {
            for (String value : values) {
                value(value, "invalid_type");
            }
        }
    }
}
