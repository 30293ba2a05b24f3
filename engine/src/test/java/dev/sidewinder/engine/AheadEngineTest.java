package dev.sidewinder.engine;

import static dev.sidewinder.engine.TestEngine.CACHE;
import static dev.sidewinder.engine.TestEngine.VOCAB;
import static dev.sidewinder.engine.TestEngine.all;
import static dev.sidewinder.engine.TestEngine.await;
import static dev.sidewinder.engine.TestEngine.failureOf;
import static dev.sidewinder.engine.TestEngine.request;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.EngineException.Kind;
import dev.sidewinder.scheduler.Batch;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.UnaryOperator;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// What happens between the launch of a step and the reading of the one in front of it.
@Timeout(60)
class AheadEngineTest {

    private final TestEngine test = new TestEngine();
    private final AheadBackend backend = new AheadBackend(new FakeBackend(VOCAB, CACHE), 1, 0);

    @AfterEach
    void close() {
        test.close();
    }

    /// The tokens of a request on a backend that is awaited step by step.
    private static int[] awaited(GenerationRequest request) throws InterruptedException {
        try (var engine = new TestEngine()) {
            engine.start(new FakeBackend(VOCAB, CACHE));
            return tokens(all(engine.submit(request)));
        }
    }

    private static int[] tokens(List<GenerationEvent> events) {
        return events.stream().filter(GenerationEvent.Token.class::isInstance)
                .mapToInt(event -> ((GenerationEvent.Token) event).token()).toArray();
    }

    private void startWatched(UnaryOperator<Batch> look) {
        test.start(new WatchedBackend(backend, look));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 3, 127, 128, 129, 260})
    void launchesNothingBeyondTheLongestAnswer(int maxTokens) throws InterruptedException {
        // given prompts that end at, before and behind the edge of a block
        test.start(backend);
        List<Generation> generations = new ArrayList<>();
        for (int prompt : new int[] {1, 127, 128, 129}) {
            generations.add(test.submit(request(maxTokens, new int[prompt])));
        }
        for (Generation generation : generations) {
            assertThat(all(generation)).hasSize(maxTokens + 1).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.LENGTH));
        }
        test.awaitRest();
        assertThat(test.engine().status().lateCompletions()).as("runs for nothing").isZero();
        test.close();
        assertThat(backend.unreadRun()).as("every generated token but the last was run before it was read")
                .isEqualTo(4 * (maxTokens - 1));
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2, 50, 126, 127, 128, 199})
    void endsAtAStopTokenThoughTheStepBehindHasBeenLaunched(int place) throws InterruptedException {
        var free = request(200, 5, 6, 7);
        int stop = awaited(free)[place];
        var stopped = new GenerationRequest("stops", new int[] {5, 6, 7}, 200, 0, Set.of(stop), 1, -1, SamplingParams.greedy());
        int[] expected = awaited(stopped);

        test.start(backend);
        Generation neighbour = test.submit(free);
        List<GenerationEvent> events = all(test.submit(stopped));

        assertThat(tokens(events)).isEqualTo(expected).endsWith(stop);
        assertThat(events).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.STOP));
        assertThat(tokens(all(neighbour))).isEqualTo(awaited(free));
        test.awaitRest();
        assertThat(test.engine().status().lateCompletions()).as("dropped, unless it was the last anyway")
                .isEqualTo(expected.length == 200 ? 0 : 1);
    }

    @ParameterizedTest
    @CsvSource({"1, 1", "2, 1", "3, 3", "20, 1", "20, 3"})
    void dropsWhatIsUnderWayForACancelledRequest(int cancelStep, int choices) throws InterruptedException {
        // given a request that is cancelled when a step is launched, and a neighbour
        var cancelled = new GenerationRequest("cancelled", new int[] {1, 2}, 500, 0, Set.of(), choices, -1, SamplingParams.greedy());
        int[] expected = awaited(request(500, 1, 2));
        var generation = new Generation[1];
        startWatched(batch -> {
            await(() -> generation[0] != null);
            if (batch.step() == cancelStep) {
                generation[0].cancel();
            }
            return batch;
        });
        Generation neighbour = test.submit(request(60, 9));
        generation[0] = test.submit(cancelled);
        List<GenerationEvent> events = all(generation[0]);

        // then what came is a prefix of what would have come, and the memory is back two steps later at most
        for (int choice = 0; choice < choices; choice++) {
            int number = choice;
            int[] got = tokens(events.stream().filter(event -> event instanceof GenerationEvent.Token token && token.choice() == number).toList());
            assertThat(got).isEqualTo(Arrays.copyOf(expected, got.length));
            // it began in the third step at the latest
            assertThat(got.length).isBetween(Math.max(0, cancelStep - 4), cancelStep);
        }
        assertThat(tokens(all(neighbour))).isEqualTo(awaited(request(60, 9)));
        test.awaitRest();
        assertThat(test.stepsToFree()).allMatch(steps -> steps <= 2);
        assertThat(test.engine().status().lateCompletions()).isBetween(0L, (long) choices);
    }

    @Test
    void failsARequestWhoseDeadlinePassesWhileAStepIsUnderWay() throws InterruptedException {
        startWatched(batch -> {
            if (batch.step() == 10) {
                test.clock().addAndGet(Duration.ofSeconds(3601).toNanos());
            }
            return batch;
        });
        Generation late = test.submit(request(100, 3));
        List<GenerationEvent> events = all(late);
        assertThat(((GenerationEvent.Failed) events.getLast()).cause().kind()).isEqualTo(Kind.DEADLINE_EXCEEDED);
        assertThat(tokens(events)).isEqualTo(Arrays.copyOf(awaited(request(100, 3)), events.size() - 1));
        assertThat(events).hasSizeBetween(9, 11);
        test.awaitRest();
        assertThat(test.engine().status().lateCompletions()).isEqualTo(1);
    }

    @Test
    void failsWithTheTokensReadBeforeWhenAStepUnderWayFails() throws InterruptedException {
        var failing = new AheadBackend(new FakeBackend(VOCAB, CACHE).failingAt(5), 2, 0);
        test.start(failing);
        Generation generation = test.submit(request(100, 3));
        List<GenerationEvent> events = all(generation);
        assertThat(((GenerationEvent.Failed) events.getLast()).cause().kind()).isEqualTo(Kind.ENGINE_FAILED);
        assertThat(tokens(events)).isEqualTo(Arrays.copyOf(awaited(request(100, 3)), events.size() - 1));
        assertThat(tokens(events).length).as("the fault may come up one step early, where the next is launched").isBetween(3, 4);
        await(() -> test.engine().status().state() == EngineStatus.State.FAILED);
    }

    @Test
    void failsTheRequestWithoutATokenAndRunsNothingForIt() throws InterruptedException {
        // given a model that computes NaN behind one token
        int[] free = awaited(request(50, 5, 6, 7));
        var poisoned = new AheadBackend(new FakeBackend(VOCAB, CACHE).poisonedBy(free[20]), 3, 0);
        test.start(poisoned);
        List<GenerationEvent> events = all(test.submit(request(50, 5, 6, 7)));
        assertThat(((GenerationEvent.Failed) events.getLast()).cause().kind()).isEqualTo(Kind.NUMERIC);
        test.awaitRest();
        assertThat(test.engine().status().lateCompletions()).isEqualTo(1);
        test.close();
        assertThat(poisoned.padded()).as("the step behind had no token to run").isEqualTo(1);
    }

    @Test
    void endsWithoutATokenWhereNothingIsAllowed() throws InterruptedException {
        int[] free = awaited(request(50, 5, 6, 7));
        // allowed: three tokens; banned: each of them after another
        var nothing = new SamplingParams(0, 0, 1, 0, 1, 0, 0, Map.of(), List.of(free[0], free[1]),
                List.of(new int[] {free[0], free[0]}, new int[] {free[0], free[1]}, new int[] {free[1], free[0]}, new int[] {free[1], free[1]}), 0, -1);
        test.start(backend);
        List<GenerationEvent> events = all(test.submit(new GenerationRequest("dead", new int[] {5, 6, 7}, 50, 0, Set.of(), 1, -1, nothing)));
        assertThat(events).hasSize(2).last().isEqualTo(new GenerationEvent.Finished(0, FinishReason.STOP));
        test.awaitRest();
    }

    @Test
    void pausesForAReaderThatIsBehindAndLosesNoToken() throws InterruptedException {
        test.start(backend);
        Generation unread = test.submit(request(3000, 1));
        await(() -> test.engine().status().paused() == 1);
        assertThat(tokens(all(test.submit(request(100, 2))))).isEqualTo(awaited(request(100, 2)));
        assertThat(tokens(all(unread))).isEqualTo(awaited(request(3000, 1)));
        test.awaitRest();
    }

    @Test
    void bringsTheStepUnderWayToItsEndWhenItIsClosed() throws InterruptedException {
        var steps = new HashSet<Long>();
        startWatched(batch -> {
            synchronized (steps) {
                steps.add(batch.step());
            }
            return batch;
        });
        Generation generation = test.submit(request(7000, 1));
        await(() -> {
            synchronized (steps) {
                return steps.size() > 20;
            }
        });
        test.engine().close();
        assertThat(failureOf(generation)).isEqualTo(Kind.DRAINING);
        assertThat(test.engine().status().atRest()).as("%s", test.engine().status()).isTrue();
    }

    @Test
    void waitsWhereTheHostChooses() throws InterruptedException {
        var host = new AheadBackend(new FakeBackend(VOCAB, CACHE), 4, 1);
        test.start(host);
        assertThat(tokens(all(test.submit(request(50, 1, 2, 3))))).isEqualTo(awaited(request(50, 1, 2, 3)));
        test.close();
        assertThat(host.launchedAhead()).isZero();
    }
}
