package dev.sidewinder.server.api;

import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.Locale;

/// A bound on what a request may hold. Each is a setting `sidewinder.limits.<name>`.
public enum Limit {
    /// bytes of a request body
    BODY_BYTES(32 << 20, 256 << 20),
    JSON_DEPTH(64, 128),
    JSON_STRING_CHARS(16 << 20, 256 << 20),
    JSON_NUMBER_CHARS(32, 128),
    JSON_NAME_CHARS(1_024, 65_536),
    /// values in one body, objects and arrays included: each becomes an object on the heap
    JSON_VALUES(4_000_000, 64_000_000),
    MESSAGES(4_096, 65_536),
    PARTS_PER_MESSAGE(256, 4_096),
    TOOLS(128, 1_024),
    /// bytes of the description of one tool
    TOOL_DESCRIPTION_BYTES(64 << 10, 1 << 20),
    /// bytes of the schema of one tool
    SCHEMA_BYTES(256 << 10, 4 << 20),
    /// bytes of all schemas of one request
    SCHEMAS_BYTES(1 << 20, 16 << 20),
    /// n
    CHOICES(16, 128),
    /// prompts x n
    CHOICES_PER_REQUEST(128, 1_024),
    PROMPTS(64, 1_024),
    STOPS(16, 64),
    STOP_CHARS(256, 4_096),
    STOP_TOKEN_IDS(64, 1_024),
    BAD_WORDS(256, 4_096),
    BAD_WORD_CHARS(256, 4_096),
    LOGIT_BIAS(1_024, 16_384),
    ALLOWED_TOKEN_IDS(4_096, 1 << 20),
    TOP_LOGPROBS(20, 100),
    /// tokens of a prompt whose log-probabilities are wanted
    PROMPT_LOGPROBS_TOKENS(32_768, 262_144),
    /// characters of one text to tokenize; the tokenizer itself takes no more than the hard bound at once
    TOKENIZER_INPUT_CHARS(Tokenizer.LARGEST_TEXT, Tokenizer.LARGEST_TEXT),
    MODEL_CHARS(256, 1_024),
    REQUEST_ID_CHARS(128, 1_024),
    SESSION_ID_CHARS(128, 1_024),
    CACHE_SALT_CHARS(256, 1_024),
    USER_CHARS(512, 4_096),
    /// bytes of a field that is accepted and not used
    UNUSED_FIELD_BYTES(16 << 10, 1 << 20);

    private final int standard;
    private final int hard;

    Limit(int standard, int hard) {
        this.standard = standard;
        this.hard = hard;
    }

    /// The value where no setting says otherwise.
    public int standard() {
        return standard;
    }

    /// The largest value a setting may have.
    public int hard() {
        return hard;
    }

    /// The last part of the setting's name, for example `stop-token-ids`.
    public String settingName() {
        return name().toLowerCase(Locale.ROOT).replace('_', '-');
    }
}
