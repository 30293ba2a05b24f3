package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.stub.StubBackend;
import dev.sidewinder.engine.stub.StubShape;
import dev.sidewinder.kvcache.CacheShape;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

@Timeout(30)
class EngineTest {

    private static final int VOCAB = 1000;
    private static final EngineLimits LIMITS = new EngineLimits(4, 512, 16, 100_000, 4096);

    private static Engine engine() {
        return Engine.start(new StubBackend(new StubShape(VOCAB, new CacheShape(32, 4))), LIMITS, EngineObserver.NONE);
    }

    private static GenerationRequest request(int[] prompt, int maxTokens) {
        return new GenerationRequest("test", prompt, maxTokens, 0, Set.of(), 1, -1, SamplingParams.greedy());
    }

    private static List<GenerationEvent> all(Generation generation) throws InterruptedException {
        List<GenerationEvent> events = new ArrayList<>();
        while (true) {
            GenerationEvent event = generation.next(Duration.ofSeconds(10));
            assertThat(event).as("an event within 10 s").isNotNull();
            events.add(event);
            if (event instanceof GenerationEvent.Finished || event instanceof GenerationEvent.Failed) {
                return events;
            }
        }
    }

    @Test
    void generatesTheTokensThatTheBackendMakesMostLikely() throws InterruptedException {
        try (Engine engine = engine(); Engine.Place place = engine.reserve(1, 300)) {
            int[] tokens = Arrays.copyOf(new int[] {5, 6, 7}, 13);
            for (int i = 3; i < 13; i++) {
                tokens[i] = StubBackend.nextToken(tokens, i, VOCAB);
            }
            List<GenerationEvent> events = all(place.submit(request(new int[] {5, 6, 7}, 10)));
            assertThat(events).hasSize(11);
            for (int i = 0; i < 10; i++) {
                assertThat(events.get(i)).isEqualTo(new GenerationEvent.Token(0, i, tokens[3 + i], null, false));
            }
            assertThat(events.getLast()).isEqualTo(new GenerationEvent.Finished(0, FinishReason.LENGTH));
        }
    }
}
