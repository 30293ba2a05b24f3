package dev.sidewinder.server.api;

import static dev.sidewinder.server.api.Endpoint.CACHE_RESET;
import static dev.sidewinder.server.api.Endpoint.CHAT;
import static dev.sidewinder.server.api.Endpoint.COMPLETIONS;
import static dev.sidewinder.server.api.Endpoint.DETOKENIZE;
import static dev.sidewinder.server.api.Endpoint.GENERATE;
import static dev.sidewinder.server.api.Endpoint.SESSION;
import static dev.sidewinder.server.api.Endpoint.SESSION_FORK;
import static dev.sidewinder.server.api.Endpoint.TOKENIZE;
import static dev.sidewinder.server.api.Parameter.Origin.EXT;
import static dev.sidewinder.server.api.Parameter.Origin.SPEC;
import static dev.sidewinder.server.api.Parameter.Origin.SPEC_OLD;
import static dev.sidewinder.server.api.ParameterType.Shape.ARRAY;
import static dev.sidewinder.server.api.ParameterType.Shape.OBJECT;
import static dev.sidewinder.server.api.ParameterType.Shape.STRING;

import com.fasterxml.jackson.databind.JsonNode;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;

/// The fields that requests may hold: the only place where one is named, bounded and defaulted. The validator, the
/// OpenAPI document and docs/parameters.md come from it. The order is the order of checking: the first mistake wins.
public final class ParameterTable {

    private static final String UNSUPPORTED = "unsupported_parameter";
    private static final Bound ONE = Bound.of(1);
    private static final Bound ZERO = Bound.of(0);
    private static final Bound MAX_TOKENS = Bound.OfModel.MAX_MODEL_TOKENS;
    private static final ParameterType FLAG = new ParameterType.Flag();
    private static final Set<Endpoint> C = EnumSet.of(CHAT);
    private static final Set<Endpoint> T = EnumSet.of(COMPLETIONS);
    private static final Set<Endpoint> B = EnumSet.of(CHAT, COMPLETIONS);
    private static final Set<Endpoint> BG = EnumSet.of(CHAT, COMPLETIONS, GENERATE);
    private static final Set<Endpoint> G = EnumSet.of(GENERATE);
    private static final Set<Endpoint> TG = EnumSet.of(COMPLETIONS, GENERATE);
    private static final Set<Endpoint> K = EnumSet.of(TOKENIZE);
    private static final Set<Endpoint> CK = EnumSet.of(CHAT, TOKENIZE);
    private static final Set<Endpoint> D = EnumSet.of(DETOKENIZE);
    private static final Set<Endpoint> R = EnumSet.of(CACHE_RESET);
    private static final Set<Endpoint> S = EnumSet.of(SESSION);
    private static final Set<Endpoint> F = EnumSet.of(SESSION_FORK);
    private static final Set<Endpoint> MODEL = EnumSet.complementOf(EnumSet.of(CACHE_RESET, SESSION, SESSION_FORK));

    private static final List<Parameter> PARAMETERS = build();

    private ParameterTable() {}

    /// All fields, in the order of checking.
    public static List<Parameter> all() {
        return PARAMETERS;
    }

    /// The fields that one route knows.
    public static List<Parameter> of(Endpoint endpoint) {
        return PARAMETERS.stream().filter(parameter -> parameter.where().contains(endpoint)).toList();
    }

    private static List<Parameter> build() {
        var table = new Table();
        prompts(table);
        lengths(table);
        streaming(table);
        sampling(table);
        stops(table);
        logprobs(table);
        formats(table);
        tools(table);
        thinking(table);
        chatFormat(table);
        routing(table);
        output(table);
        refusedAndUnused(table);
        return List.copyOf(table.rows);
    }

    private static void prompts(Table table) {
        table.field(MODEL, "model", text(ONE, Limit.MODEL_CHARS), "the only model", SPEC,
                "served name or alias; unknown: 404 `model_not_found`");
        table.required(C, "messages", composite(ONE, Bound.of(Limit.MESSAGES), ARRAY), SPEC, "the conversation");
        table.field(K, "messages", composite(ONE, Bound.of(Limit.MESSAGES), ARRAY), "none", EXT,
                "a conversation to render and tokenize; either this or `prompt`");
        table.required(T, "prompt", composite(ONE, Bound.of(Limit.JSON_VALUES), STRING, ARRAY), SPEC,
                "a text, texts, token ids, or lists of token ids (64* prompts at most); choices are numbered prompt x n");
        table.field(G, "prompt", text(ONE, Limit.JSON_STRING_CHARS), "none", EXT,
                "a text; either this or `token_ids`");
        table.field(S, "messages", composite(ONE, Bound.of(Limit.MESSAGES), ARRAY), "none", EXT,
                "what the session begins with, as a conversation; not beside `prompt`");
        table.field(S, "prompt", composite(ONE, Bound.of(Limit.JSON_VALUES), STRING, ARRAY), "none", EXT,
                "what the session begins with, as a text or token ids; not beside `messages`");
        table.field(K, "prompt", text(ZERO, Limit.JSON_STRING_CHARS), "none", EXT,
                "a text; either this or `messages`");
        table.field(G, "token_ids", new ParameterType.TokenIds(ONE, MAX_TOKENS), "none", EXT,
                "a prompt as token ids; either this or `prompt`");
        table.required(D, "tokens", new ParameterType.TokenIds(ZERO, MAX_TOKENS), EXT, "token ids to turn into text");
        table.field(K, "add_special_tokens", FLAG, "true", EXT, "whether the tokenizer's post-processor adds its tokens");
        table.field(K, "return_token_strs", FLAG, "false", EXT, "`token_strs` beside the ids, as the vocabulary spells them");
    }

    private static void lengths(Table table) {
        table.field(C, "max_completion_tokens", integer(ONE, MAX_TOKENS), "room left", SPEC,
                "wins over max_tokens; counts reasoning too");
        table.field(C, "max_tokens", integer(ONE, MAX_TOKENS), "room left", SPEC, "tokens to generate at most");
        table.field(T, "max_tokens", integer(ZERO, MAX_TOKENS), "16", SPEC,
                "tokens to generate at most; 0 scores the prompt only (`echo`, `prompt_logprobs`)");
        table.field(G, "max_tokens", integer(ONE, MAX_TOKENS), "16", EXT, "tokens to generate at most");
        table.field(BG, "min_tokens", integer(ZERO, MAX_TOKENS), "0", EXT,
                "stop ids and stop strings do not count before this many tokens; at most the maximum");
        table.field(B, "n", integer(ONE, Bound.of(Limit.CHOICES)), "1", SPEC,
                "choices per prompt; prompts x n is at most 128*");
        table.field(G, "n", refused("this route makes one answer; use /v1/completions for several.",
                value -> value.isNumber() && value.doubleValue() == 1), "1", EXT, "refused unless 1");
        table.field(T, "best_of", integer(ONE, Bound.of(Limit.CHOICES)), "n", SPEC, "accepted only when equal to n");
    }

    private static void streaming(Table table) {
        table.field(BG, "stream", FLAG, "false", SPEC, "answer as server-sent events");
        table.field(B, "stream_options", new ParameterType.Group(List.of(
                child("include_usage", FLAG, "false", SPEC, "usage in a last chunk; only with stream"),
                child("continuous_usage_stats", FLAG, "false", EXT, "usage on every chunk; only with stream"),
                child("include_progress", FLAG, "false", EXT,
                        "progress of the prompt as comments; named in `x-sidewinder-ignored`, this build sends none"))),
                "none", SPEC, "options of a stream");
        table.field(B, "stream_interval", integer(ONE, Bound.of(64)), "1", EXT,
                "tokens per chunk; the first token is always sent at once");
    }

    private static void sampling(Table table) {
        table.field(BG, "temperature", new ParameterType.Decimal(0, 2), "generation_config, else 1", SPEC,
                "0 = greedy; between 0 and 0.01 counts as 0.01");
        table.field(BG, "top_p", new ParameterType.Decimal(0, 1), "generation_config, else 1", SPEC, "0 keeps one token");
        table.field(BG, "top_k", integer(Bound.of(-1), Bound.OfModel.VOCAB_SIZE), "generation_config, else -1", EXT,
                "-1 and 0 = off");
        table.field(BG, "min_p", new ParameterType.Decimal(0, 1), "0", EXT,
                "least probability, as a share of the most likely token's");
        table.field(BG, "frequency_penalty", new ParameterType.Decimal(-2, 2), "0", SPEC,
                "times the count of the token so far, over generated tokens");
        table.field(BG, "presence_penalty", new ParameterType.Decimal(-2, 2), "0", SPEC, "over generated tokens");
        table.field(BG, "repetition_penalty", new ParameterType.Decimal(0.1, 10), "1", EXT,
                "over prompt and generated tokens");
        table.field(BG, "seed", integer(Bound.of(Long.MIN_VALUE), Bound.of(Long.MAX_VALUE)), "random", SPEC,
                "same seed, same build: same tokens; choice i uses a stream derived from (seed, i)");
        table.field(BG, "logit_bias", new ParameterType.LogitBias(Bound.of(Limit.LOGIT_BIAS), -100, 100), "{}", SPEC,
                "decimal token id to a number added to its logit; -100 bans");
        table.field(BG, "allowed_token_ids", new ParameterType.TokenIds(ONE, Bound.of(Limit.ALLOWED_TOKEN_IDS)), "all", EXT,
                "everything else is masked");
        table.field(BG, "bad_words", texts(Limit.BAD_WORDS, Limit.BAD_WORD_CHARS, false), "[]", EXT,
                "words whose token sequences are masked");
    }

    private static void stops(Table table) {
        table.field(BG, "stop", texts(Limit.STOPS, Limit.STOP_CHARS, true), "none", SPEC,
                "not looked for in reasoning; cut out of the text unless the next field says so");
        table.field(BG, "include_stop_str_in_output", FLAG, "false", EXT, "keep the stop string in the text");
        table.field(BG, "stop_token_ids", new ParameterType.TokenIds(ZERO, Bound.of(Limit.STOP_TOKEN_IDS)), "[]", EXT,
                "added to the model's stop set");
        table.field(BG, "ignore_eos", FLAG, "false", EXT, "the model's stop set is ignored");
    }

    private static void logprobs(Table table) {
        table.field(C, "logprobs", FLAG, "false", SPEC, "log-probability of every generated token");
        table.field(C, "top_logprobs", integer(ZERO, Bound.of(Limit.TOP_LOGPROBS)), "0", SPEC,
                "alternatives per token; above 0 needs logprobs true");
        table.field(T, "logprobs", integer(ZERO, Bound.of(Limit.TOP_LOGPROBS)), "none", SPEC,
                "log-probability of every token, with this many alternatives");
        table.field(B, "prompt_logprobs", integer(ZERO, Bound.of(Limit.TOP_LOGPROBS)), "none", EXT,
                "the same for the prompt; at most 32768* prompt tokens; not with stream");
        table.field(T, "echo", FLAG, "false", SPEC, "the text starts with the prompt");
        table.field(T, "suffix", refused("the models have no infill mode.",
                value -> value.isTextual() && value.textValue().isEmpty()), "none", SPEC, "refused unless empty");
    }

    private static void formats(Table table) {
        table.field(B, "response_format", composite(ZERO, Bound.of(16), OBJECT), "text", SPEC,
                "`{\"type\":\"text\"}`; json_object and json_schema are not supported by this build yet");
        for (String name : List.of("structured_outputs", "guided_json", "guided_regex", "guided_choice", "guided_grammar",
                "guided_decoding_backend", "guided_whitespace_pattern")) {
            table.field(B, name, refused("this build does not support structured outputs yet."), "none", EXT,
                    "refused: structured outputs are not supported by this build yet");
        }
    }

    private static void tools(Table table) {
        table.field(EnumSet.of(CHAT, TOKENIZE, SESSION), "tools", composite(ZERO, Bound.of(Limit.TOOLS), ARRAY), "[]", SPEC,
                "function tools; names `[A-Za-z0-9_.-]{1,128}`, unique");
        table.field(C, "tool_choice", composite(ONE, Bound.of(16), STRING, OBJECT), "auto if tools, else none", SPEC,
                "none, auto, required, a function by name, or allowed_tools in mode auto or required");
        table.field(C, "parallel_tool_calls", FLAG, "true", SPEC, "false: generation ends after the first call");
        for (String name : List.of("functions", "function_call")) {
            table.field(C, name, refused("it is withdrawn; use tools and tool_choice.",
                    value -> value.isTextual() && value.textValue().equals("none")), "none", SPEC_OLD, "refused: use tools");
        }
    }

    private static void thinking(Table table) {
        var efforts = new ParameterType.Word(List.of("none", "minimal", "low", "medium", "high", "xhigh", "max"));
        table.field(C, "enable_thinking", FLAG, "true", EXT, "short form of the template variable; wins over the next two");
        table.field(C, "reasoning", new ParameterType.Group(List.of(
                child("enabled", FLAG, "none", EXT, "like enable_thinking"),
                child("effort", efforts, "none", EXT, "like reasoning_effort"),
                child("max_tokens", integer(Bound.of(-1), MAX_TOKENS), "none", EXT,
                        "like thinking_token_budget, which wins"))),
                "none", EXT, "wins over reasoning_effort");
        table.field(C, "reasoning_effort", efforts, "high", SPEC,
                "none = thinking off; minimal and low = on with a budget; medium = by the template, or a budget where it "
                        + "reads no `medium_effort`; high, xhigh, max = on");
        table.field(C, "thinking_token_budget", integer(Bound.of(-1), MAX_TOKENS), "none", EXT,
                "reasoning tokens after which the reasoning is closed, behind the next newline; -1 = none");
        table.field(C, "thinking_budget", integer(Bound.of(-1), MAX_TOKENS), "none", EXT, "the same");
        table.field(C, "thinking_budget_grace", integer(ZERO, Bound.of(8_192)), "min(500, max(32, budget/4))", EXT,
                "tokens to wait for that newline; then the reasoning is closed wherever it is");
        table.field(C, "include_reasoning", FLAG, "true", EXT, "false: reasoning is produced and counted, not sent");
        table.field(C, "force_nonempty_content", FLAG, "true", EXT,
                "an answer that never left its reasoning is also sent as content");
    }

    private static void chatFormat(Table table) {
        table.field(EnumSet.of(CHAT, TOKENIZE, SESSION), "chat_template_kwargs", composite(ZERO, Bound.of(16), OBJECT), "{}", EXT,
                "enable_thinking, truncate_history_thinking, force_nonempty_content, and medium_effort, low_effort where "
                        + "the template reads them; other names are ignored and reported; 4 KiB at most");
        table.field(CK, "add_generation_prompt", FLAG, "true", EXT,
                "whether the prompt opens an assistant turn; false when continuing the final message");
        table.field(CK, "continue_final_message", FLAG, "false", EXT,
                "go on inside the final message, which must be the assistant's");
        for (String name : List.of("chat_template", "documents")) {
            table.field(C, name, refused("templates come with the model and read no documents."), "none", EXT,
                    "refused: templates come with the model");
        }
    }

    private static void routing(Table table) {
        table.field(BG, "cache_salt", text(ONE, Limit.CACHE_SALT_CHARS), "none", EXT,
                "further divides the prefix cache of this tenant: only requests with the same salt share prefixes");
        table.field(R, "cache_salt", text(ONE, Limit.CACHE_SALT_CHARS), "none", EXT,
                "drops only what requests with this salt share; without it everything is dropped");
        table.field(BG, "cache_explain", FLAG, "false", EXT, "`sidewinder_cache` in usage: what the prefix cache had and why not more");
        table.field(B, "priority", integer(Bound.of(-1_000), Bound.of(1_000)), "0", EXT,
                "lower goes first; an operator may set the lowest");
        table.field(BG, "request_id", text(ONE, Limit.REQUEST_ID_CHARS), "generated", EXT, "like the header, which wins; replaced unless `[A-Za-z0-9._-]{1,128}`");
        table.field(S, "name", text(ONE, Limit.SESSION_ID_CHARS), "generated", EXT, "of the new session, `[A-Za-z0-9._-]{1,128}`");
        table.required(F, "name", text(ONE, Limit.SESSION_ID_CHARS), EXT, "of the second session, `[A-Za-z0-9._-]{1,128}`");
        table.field(B, "session_id", text(ONE, Limit.SESSION_ID_CHARS), "none", EXT,
                "continues a session: the prompt is only what is new. Like the header `x-session-token`; a hint where the server has no sessions");
        table.field(B, "prompt_cache_key", text(ZERO, Limit.CACHE_SALT_CHARS), "none", SPEC, "a hint for placement");
    }

    private static void output(Table table) {
        table.field(B, "return_token_ids", FLAG, "false", EXT,
                "`prompt_token_ids` once, `token_ids` per chunk or choice");
        table.field(C, "return_prompt_text", FLAG, "false", EXT, "`prompt_text`, the rendered prompt, in the answer");
        table.field(T, "truncate_prompt_tokens", integer(Bound.of(-1), MAX_TOKENS), "none", EXT,
                "keep the last k tokens of a prompt; -1 = what fits");
        table.field(C, "truncate_prompt_tokens", refused("it would cut the chat template."), "none", EXT, "refused");
        table.field(BG, "skip_special_tokens", FLAG, "true", EXT, "never affects parsing");
        table.field(D, "skip_special_tokens", FLAG, "false", EXT, "leave special tokens out of the text");
    }

    private static void refusedAndUnused(Table table) {
        table.field(C, "prediction", composite(ZERO, Bound.of(16), OBJECT), "none", SPEC, "accepted, not used");
        table.field(B, "user", text(ZERO, Limit.USER_CHARS), "none", SPEC, "accepted, not used");
        for (String name : List.of("metadata", "store", "service_tier", "safety_identifier", "verbosity",
                "prompt_cache_retention")) {
            table.field(B, name, new ParameterType.Unused(Bound.of(Limit.UNUSED_FIELD_BYTES)), "none", SPEC,
                    "accepted, not used");
        }
        for (String name : List.of("kv_transfer_params", "ec_transfer_params", "cache_hit_threshold", "bootstrap_host",
                "bootstrap_port", "bootstrap_room")) {
            table.field(B, name, new ParameterType.Unused(Bound.of(Limit.UNUSED_FIELD_BYTES)), "none", EXT,
                    "accepted, not used: a router may add it");
        }
        table.field(C, "audio", refused("the model reads and writes text only."), "none", SPEC, "refused: text only");
        table.field(C, "modalities", refused("the model reads and writes text only; leave it out or send [\"text\"].",
                ParameterTable::isTextOnly), "[\"text\"]", SPEC, "refused unless `[\"text\"]`");
        table.field(C, "web_search_options", refused("the server never opens a connection for a request."), "none", SPEC,
                "refused: nothing is fetched");
        table.field(BG, "use_beam_search", refused("beam search is not offered; use n with a temperature.",
                value -> value.isBoolean() && !value.booleanValue()), "false", EXT, "refused unless false");
        for (String name : List.of("length_penalty", "early_stopping", "prompt_embeds", "logits_processors", "stop_regex",
                "vllm_xargs", "custom_logit_processor", "custom_params")) {
            table.field(BG, name, refused("this server does not offer it; leave it out."), "none", EXT, "refused");
        }
    }

    private static boolean isTextOnly(JsonNode value) {
        return value.isArray() && value.size() == 1 && value.get(0).isTextual() && value.get(0).textValue().equals("text");
    }

    private static ParameterType integer(Bound min, Bound max) {
        return new ParameterType.Int(min, max);
    }

    private static ParameterType text(Bound min, Limit max) {
        return new ParameterType.Text(min, Bound.of(max));
    }

    private static ParameterType texts(Limit items, Limit chars, boolean single) {
        return new ParameterType.TextList(Bound.of(items), Bound.of(chars), single);
    }

    private static ParameterType composite(Bound min, Bound max, ParameterType.Shape... shapes) {
        return new ParameterType.Composite(Set.of(shapes), min, max);
    }

    private static ParameterType refused(String reason) {
        return refused(reason, _ -> false);
    }

    private static ParameterType refused(String reason, Predicate<JsonNode> harmless) {
        return new ParameterType.Refused(UNSUPPORTED, reason, harmless);
    }

    private static Parameter child(String name, ParameterType type, String standard, Parameter.Origin origin,
            String meaning) {
        return new Parameter(name, Set.of(), type, standard, origin, meaning, false);
    }

    private static final class Table {
        private final List<Parameter> rows = new ArrayList<>();

        void field(Set<Endpoint> where, String name, ParameterType type, String standard, Parameter.Origin origin,
                String meaning) {
            rows.add(new Parameter(name, where, type, standard, origin, meaning, false));
        }

        void required(Set<Endpoint> where, String name, ParameterType type, Parameter.Origin origin, String meaning) {
            rows.add(new Parameter(name, where, type, "required", origin, meaning, true));
        }
    }
}
