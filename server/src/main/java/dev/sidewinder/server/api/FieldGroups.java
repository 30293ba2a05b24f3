package dev.sidewinder.server.api;

import java.util.List;
import java.util.OptionalInt;

/// Gathers checked fields into the records of a request. Defaults that are no property of the model stand here and in
/// the table's documentation column.
final class FieldGroups {

    /// What `/v1/completions` and `/generate` generate when a request names no maximum.
    private static final int COMPLETION_TOKENS = 16;

    private FieldGroups() {}

    static LengthOptions length(Fields fields, String maximum) {
        OptionalInt max = fields.integer(maximum);
        // only a conversation may use all the room that is left
        boolean isChat = fields.has("messages");
        OptionalInt tokens = max.isPresent() || isChat ? max : OptionalInt.of(COMPLETION_TOKENS);
        return new LengthOptions(tokens, fields.integer("min_tokens", 0), fields.integer("n", 1));
    }

    static SamplingOptions sampling(Fields fields) {
        return new SamplingOptions(fields.decimal("temperature"), fields.decimal("top_p"), fields.integer("top_k"),
                fields.decimal("min_p", 0), fields.decimal("repetition_penalty", 1), fields.decimal("presence_penalty", 0),
                fields.decimal("frequency_penalty", 0), fields.longInteger("seed"), fields.logitBias("logit_bias"),
                fields.tokenIds("allowed_token_ids"), fields.texts("bad_words"));
    }

    static StopOptions stops(Fields fields) {
        return new StopOptions(fields.texts("stop"), fields.flag("include_stop_str_in_output", false),
                fields.tokenIds("stop_token_ids"), fields.flag("ignore_eos", false));
    }

    static StreamOptions stream(Fields fields) {
        return new StreamOptions(fields.flag("stream", false), fields.flag("stream_options.include_usage", false),
                fields.flag("stream_options.continuous_usage_stats", false), fields.integer("stream_interval", 1));
    }

    static OutputOptions output(Fields fields) {
        return new OutputOptions(logprobs(fields), fields.integer("prompt_logprobs", -1), fields.flag("echo", false),
                fields.flag("return_token_ids", false), fields.flag("return_prompt_text", false),
                fields.flag("skip_special_tokens", true), fields.flag("cache_explain", false));
    }

    /// A chat says whether and how many in two fields, a text completion in one.
    private static int logprobs(Fields fields) {
        if (fields.isFlag("logprobs")) {
            return fields.flag("logprobs", false) ? fields.integer("top_logprobs", 0) : -1;
        }
        return fields.integer("logprobs", -1);
    }

    static RequestHints hints(Fields fields, List<String> ignored) {
        return new RequestHints(fields.text("request_id").filter(RequestIds::isValid),
                fields.text("session_id"), fields.text("cache_salt"),
                fields.integer("priority", 0), ignored);
    }
}
