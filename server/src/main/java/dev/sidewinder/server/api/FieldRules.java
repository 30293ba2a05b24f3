package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;

/// The rules between fields of one request.
final class FieldRules {

    private FieldRules() {}

    static void check(Fields fields, GenerationOptions options, Problems problems) {
        LengthOptions length = options.length();
        if (length.maxTokens().isPresent() && length.minTokens() > length.maxTokens().getAsInt()) {
            problems.add("integer_above_max_value", "min_tokens", "'min_tokens' is " + length.minTokens()
                    + ", more than the maximum of " + length.maxTokens().getAsInt() + ".");
        }
        if (fields.has("best_of") && fields.integer("best_of", 1) != length.choices()) {
            problems.add("unsupported_value", "best_of", "'best_of' is accepted only when it equals n.");
        }
        checkStreamOptions(fields, options.stream(), problems);
        checkLogprobs(fields, options, problems);
    }

    /// @param prompts how many there are
    static void checkChoices(int prompts, GenerationOptions options, ApiLimits limits, Problems problems) {
        long choices = (long) prompts * options.length().choices();
        int max = limits.get(Limit.CHOICES_PER_REQUEST);
        if (choices > max) {
            problems.add("integer_above_max_value", "n", prompts + " prompts with n " + options.length().choices() + " make "
                    + choices + " choices; the maximum is " + max + ".");
        }
    }

    private static void checkStreamOptions(Fields fields, StreamOptions stream, Problems problems) {
        if (fields.has("stream_options") && !stream.enabled()) {
            String param = fields.has("stream_options.include_usage") ? "stream_options.include_usage" : "stream_options";
            problems.add("invalid_value", param, "'stream_options' is possible only with stream true.");
        }
    }

    private static void checkLogprobs(Fields fields, GenerationOptions options, Problems problems) {
        OutputOptions output = options.output();
        if (fields.integer("top_logprobs", 0) > 0 && output.logprobs() < 0) {
            problems.add("invalid_value", "top_logprobs", "'top_logprobs' needs logprobs true.");
        }
        if (output.promptLogprobs() >= 0 && options.stream().enabled()) {
            problems.add("invalid_value", "prompt_logprobs", "'prompt_logprobs' is not possible with stream true.");
        }
    }

    /// @param forcedCall whether the answer is a tool call: then the format is not applied
    static void checkResponseFormat(Fields fields, boolean forcedCall, Problems problems) {
        JsonNode format = fields.json("response_format").orElse(null);
        if (format == null) {
            return;
        }
        JsonNode type = format.path("type");
        if (type.isMissingNode() || type.isNull()) {
            problems.missing("response_format.type");
        } else if (!type.isTextual()) {
            problems.wrongType("response_format.type", "a string");
        } else {
            switch (type.textValue()) {
                case "text" -> { }
                case "json_object", "json_schema" -> {
                    if (!forcedCall) {
                        problems.notYet("unsupported_value", "response_format.type", "response_format "
                                + type.textValue() + " (it can not force JSON); ask for JSON in the prompt");
                    }
                }
                default -> problems.add("invalid_value", "response_format.type",
                        "'response_format.type' must be text, json_object or json_schema.");
            }
        }
    }
}
