package dev.sidewinder.server.ops;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineException;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.SamplingParams;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.ArrayList;
import java.util.Set;

/// Computes two tokens before anybody else may: ready means that the model works. The same prompt runs twice and must
/// give the same tokens with the same log-probabilities, to the bit.
final class SelfTest {

    private static final Duration LIMIT = Duration.ofSeconds(120);
    private static final int PROMPT_TOKENS = 5;
    private static final int TOKENS = 2;

    private final Engine engine;
    private final int vocabSize;

    SelfTest(Engine engine, int vocabSize) {
        this.engine = engine;
        this.vocabSize = vocabSize;
    }

    /// @throws StartException 75 when the model computes nonsense
    void run() throws InterruptedException {
        List<GenerationEvent.Token> first = generate();
        List<GenerationEvent.Token> second = generate();
        for (int i = 0; i < TOKENS; i++) {
            float logprob = first.get(i).logprobs().logprob();
            if (!Float.isFinite(logprob) || logprob > 0) {
                throw failed("token " + i + " has the log-probability " + logprob);
            }
            if (first.get(i).token() != second.get(i).token()
                    || Float.floatToRawIntBits(logprob) != Float.floatToRawIntBits(second.get(i).logprobs().logprob())) {
                throw failed("the same prompt gave token " + first.get(i).token() + " (" + logprob + ") and then "
                        + second.get(i).token() + " (" + second.get(i).logprobs().logprob() + ") at position " + i);
            }
        }
    }

    private List<GenerationEvent.Token> generate() throws InterruptedException {
        int[] prompt = new int[PROMPT_TOKENS];
        for (int i = 0; i < PROMPT_TOKENS; i++) {
            prompt[i] = (i * 31 + 7) % vocabSize;
        }
        var sampling = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(), List.of(), 0, 0);
        var request = new GenerationRequest("self-test", prompt, TOKENS, 0, Set.of(), 1, -1, sampling);
        List<GenerationEvent.Token> tokens = new ArrayList<>();
        try (Engine.Place place = engine.reserve(1, PROMPT_TOKENS);
                Generation generation = place.submit(request)) {
            while (true) {
                GenerationEvent event = generation.next(LIMIT);
                switch (event) {
                    case null -> throw failed("no token within " + LIMIT.toSeconds() + " s");
                    case GenerationEvent.Token token -> tokens.add(token);
                    case GenerationEvent.Failed failure -> throw failed(failure.cause().getMessage());
                    case GenerationEvent.PromptScored scored -> { }
                    case GenerationEvent.Admitted admitted -> { }
                    case GenerationEvent.Finished finished -> {
                        if (tokens.size() != TOKENS) {
                            throw failed(tokens.size() + " tokens came instead of " + TOKENS);
                        }
                        return tokens;
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
