package dev.sidewinder.server.api;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.TreeSet;
import java.util.stream.Collectors;

/// Prints the parameter table as docs/parameters.md.
public final class ParameterDocument {

    private static final String HEAD = """
            # Request parameters

            Generated from `ParameterTable`; `ParameterDocumentTest` fails when the two differ, and says how to write it anew.

            Where: C = `/v1/chat/completions`, T = `/v1/completions`, G = `/generate`, K = `/tokenize`, D = `/detokenize`,
            R = `/v1/cache/reset`, S = `/v1/sessions`, F = `/v1/sessions/{name}/fork`.
            A star marks the default of a setting under `sidewinder.limits`. `null` is the same as leaving a field out.
            Codes are those of HTTP 400; a wrong JSON type is always `invalid_type`, a required field that is missing
            `missing_required_parameter`.

            | field | where | type | min | max | default | kind | meaning | codes |
            |---|---|---|---|---|---|---|---|---|
            """;

    private ParameterDocument() {}

    public static String markdown() {
        var text = new StringBuilder(HEAD);
        for (Parameter parameter : ParameterTable.all()) {
            String where = parameter.where().stream().sorted().map(endpoint -> String.valueOf(endpoint.letter()))
                    .collect(Collectors.joining());
            appendRow(text, parameter, parameter.name(), where);
        }
        return text.toString();
    }

    private static void appendRow(StringBuilder text, Parameter parameter, String name, String where) {
        var row = new Row(parameter.type());
        text.append("| ").append(name).append(" | ").append(where).append(" | ").append(row.type).append(" | ")
                .append(row.min).append(" | ").append(row.max).append(" | ").append(parameter.standard()).append(" | ")
                .append(parameter.origin().label()).append(" | ").append(parameter.meaning()).append(" | ")
                .append(String.join(", ", row.codes)).append(" |\n");
        if (parameter.type() instanceof ParameterType.Group group) {
            for (Parameter child : group.fields()) {
                appendRow(text, child, name + "." + child.name(), where);
            }
        }
    }

    /// What a type says in its columns.
    private static final class Row {
        private final String type;
        private String min = "";
        private String max = "";
        private final List<String> codes = new ArrayList<>();

        Row(ParameterType parameter) {
            switch (parameter) {
                case ParameterType.Flag _ -> type = "boolean";
                case ParameterType.Int range -> {
                    type = "integer";
                    bounds(range.min().label(), range.max().label(), "integer_below_min_value", "integer_above_max_value");
                }
                case ParameterType.Decimal range -> {
                    type = "number";
                    bounds(ParameterReader.plain(range.min()), ParameterReader.plain(range.max()),
                            "decimal_below_min_value", "decimal_above_max_value");
                }
                case ParameterType.Text range -> {
                    type = "string";
                    bounds(range.min().label(), range.max().label() + " chars", "string_below_min_length",
                            "string_above_max_length");
                }
                case ParameterType.Word word -> {
                    type = "one of " + String.join(", ", word.values());
                    codes.add("invalid_value");
                }
                case ParameterType.TextList list -> {
                    type = list.single() ? "string or string[]" : "string[]";
                    bounds("0, 1 char", list.items().label() + ", " + list.chars().label() + " chars",
                            "array_above_max_length", "string_below_min_length", "string_above_max_length");
                }
                case ParameterType.TokenIds list -> {
                    type = "integer[]";
                    bounds(list.minItems().label() + ", id 0", list.maxItems().label() + ", id vocab-1",
                            "array_below_min_length", "array_above_max_length", "integer_below_min_value",
                            "integer_above_max_value");
                }
                case ParameterType.LogitBias bias -> {
                    type = "object id -> number";
                    bounds("0 entries, " + ParameterReader.plain(bias.min()), bias.entries().label() + " entries, "
                            + ParameterReader.plain(bias.max()), "array_above_max_length", "decimal_below_min_value",
                            "decimal_above_max_value", "invalid_value");
                }
                case ParameterType.Group _ -> type = "object";
                case ParameterType.Composite composite -> {
                    type = new TreeSet<>(composite.shapes()).stream()
                            .map(shape -> shape.name().toLowerCase(Locale.ROOT)).collect(Collectors.joining(" or "));
                    bounds(composite.min().label(), composite.max().label(), "array_below_min_length",
                            "array_above_max_length", "invalid_value");
                }
                case ParameterType.Unused unused -> {
                    type = "any";
                    bounds("", unused.bytes().label() + " bytes", "string_above_max_length");
                }
                case ParameterType.Refused refused -> {
                    type = "any";
                    codes.add(refused.code());
                }
            }
        }

        private void bounds(String min, String max, String... codes) {
            this.min = min;
            this.max = max;
            this.codes.addAll(List.of(codes));
        }
    }
}
