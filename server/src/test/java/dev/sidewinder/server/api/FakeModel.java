package dev.sidewinder.server.api;

import dev.sidewinder.model.config.GenerationConfig;
import java.time.Instant;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// A served model over [FakeText] and [FakeChat].
public final class FakeModel {

    public static final int MAX_MODEL_TOKENS = 256;
    public static final GenerationConfig DEFAULTS = new GenerationConfig(Set.of(2, 11), 0.6, 0.95, 0);

    public static final Partitions PARTITIONS = new Partitions(new byte[Partitions.KEY_BYTES]);

    private FakeModel() {}

    public static ServedModel withText() {
        return withText(new FakeChat(Set.of("enable_thinking")));
    }

    public static ServedModel withText(ChatFormat chat) {
        return new ServedModel(List.of("fake", "alias/one"), FakeText.VOCAB_SIZE, MAX_MODEL_TOKENS, DEFAULTS,
                Optional.of(new FakeText()), Optional.of(chat), "fp_test");
    }

    public static ServedModel tokensOnly() {
        return new ServedModel(List.of("ids"), FakeText.VOCAB_SIZE, MAX_MODEL_TOKENS, DEFAULTS, Optional.empty(),
                Optional.empty(), "fp_test");
    }

    public static RequestReader reader(ApiOptions options) {
        return new RequestReader(options, MAX_MODEL_TOKENS, FakeText.VOCAB_SIZE);
    }

    public static RequestPlanner planner(ServedModel model, ApiOptions options) {
        return new RequestPlanner(model, options, () -> 42, InstantSource.fixed(Instant.ofEpochSecond(1_700_000_000)),
                Optional.of(PARTITIONS));
    }
}
