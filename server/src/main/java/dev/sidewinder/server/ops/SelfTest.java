package dev.sidewinder.server.ops;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Mark;
import io.quarkus.logging.Log;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/// Computes a few tokens before anybody else may: ready means that the model works. The same prompt runs twice and must
/// give the same tokens with the same log-probabilities, to the bit. Where prefixes are reused, the second run goes on from what the
/// first one left, and must: for models of this kind a cache that never hits is a known fault of servers, and nobody sees it.
final class SelfTest {

    private static final Duration LIMIT = Duration.ofSeconds(120);
    /// Two whole blocks and a part of a third, of which two are reused.
    private static final int PROMPT_TOKENS = 2 * CacheShape.BLOCK_TOKENS + 44;
    private static final int TOKENS = 2;

    private final Engine engine;
    private final int vocabSize;
    private final Optional<Partition> partition;
    private final int[] prompt;

    /// What a run came to.
    private record Run(int reusedTokens, List<GenerationEvent.Token> tokens) {}

    /// @param maxModelTokens a shorter model gets a shorter prompt, of which less is reused
    /// @param partition      one that nobody else has; empty where no prefixes are reused
    SelfTest(Engine engine, int vocabSize, int maxModelTokens, Optional<Partition> partition) {
        this.engine = engine;
        this.vocabSize = vocabSize;
        this.partition = partition;
        this.prompt = prompt(Math.max(1, Math.min(PROMPT_TOKENS, maxModelTokens - TOKENS)));
    }

    /// No two blocks are alike.
    private int[] prompt(int length) {
        int[] tokens = new int[length];
        for (int i = 0; i < length; i++) {
            tokens[i] = (i * 31 + i / CacheShape.BLOCK_TOKENS + 7) % vocabSize;
        }
        return tokens;
    }

    /// @throws StartException 75 when the model computes nonsense, or reuses none of what it has computed
    void run() throws InterruptedException {
        long refused = refusedStates();
        Run first = generate();
        Run second = generate();
        int reusable = (prompt.length - 1) / CacheShape.BLOCK_TOKENS * CacheShape.BLOCK_TOKENS;
        if (partition.isPresent() && second.reusedTokens() != reusable && refusedStates() > refused) {
            Log.warn("the caches have no room for a state beside a running sequence, so no prompt goes on from another; "
                    + "raise sidewinder.engine.cache-size or lower sidewinder.engine.max-num-seqs");
        } else if (partition.isPresent() && second.reusedTokens() != reusable) {
            throw failed("of a prompt of " + prompt.length + " tokens that was sent twice, " + second.reusedTokens()
                    + " were reused instead of " + reusable + "; sidewinder.cache.prefixes=false starts the server without reuse");
        }
        for (int i = 0; i < TOKENS; i++) {
            compare(i, first.tokens().get(i), second.tokens().get(i), second.reusedTokens());
        }
        if (partition.isPresent()) {
            engine.dropPrefixes(partition);
        }
    }

    private long refusedStates() {
        return engine.status().cache().counts().refusedStates();
    }

    private void compare(int at, GenerationEvent.Token first, GenerationEvent.Token second, int reused) {
        float logprob = first.logprobs().logprob();
        if (!Float.isFinite(logprob) || logprob > 0) {
            throw failed("token " + at + " has the log-probability " + logprob);
        }
        if (first.token() != second.token()
                || Float.floatToRawIntBits(logprob) != Float.floatToRawIntBits(second.logprobs().logprob())) {
            throw failed("the same prompt gave token " + first.token() + " (" + logprob + ") and then " + second.token() + " ("
                    + second.logprobs().logprob() + ") at position " + at + (reused > 0 ? ", with " + reused + " tokens reused" : ""));
        }
    }

    private Run generate() throws InterruptedException {
        var sampling = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 0, 0);
        var request = new GenerationRequest("self-test", prompt, TOKENS, 0, Set.of(), 1, -1, sampling);
        if (partition.isPresent()) {
            request = request.withPrefixes(partition.get(), List.of(new Mark(prompt.length, CheckpointPoint.TURN_START)), false);
        }
        int reused = 0;
        List<GenerationEvent.Token> tokens = new ArrayList<>();
        try (Engine.Place place = engine.reserve(1, prompt.length);
                Generation generation = place.submit(request)) {
            while (true) {
                GenerationEvent event = generation.next(LIMIT);
                switch (event) {
                    case null -> throw failed("no token within " + LIMIT.toSeconds() + " s");
                    case GenerationEvent.Token token -> tokens.add(token);
                    case GenerationEvent.Failed failure -> throw failed(failure.cause().getMessage());
                    case GenerationEvent.PromptScored scored -> { }
                    case GenerationEvent.Admitted admitted -> reused = admitted.reusedTokens();
                    case GenerationEvent.Finished finished -> {
                        if (tokens.size() != TOKENS) {
                            throw failed(tokens.size() + " tokens came instead of " + TOKENS);
                        }
                        return new Run(reused, tokens);
                    }
                }
            }
        } catch (EngineException e) {
            throw failed(e.getMessage());
        }
    }

    private static StartException failed(String what) {
        return new StartException(ServeApplication.SELF_TEST_FAILED, "the self-test failed: " + what);
    }
}
