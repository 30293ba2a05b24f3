package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.session.SessionIdentity;
import dev.sidewinder.engine.session.SessionInfo;
import dev.sidewinder.engine.session.SessionKey;
import dev.sidewinder.engine.session.SessionLimits;
import dev.sidewinder.engine.session.SessionTurn;
import dev.sidewinder.engine.session.Sessions;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Sessions where the engine fails requests, ends, or runs a step ahead of what it has read, on a backend whose logits show every
/// wrong state and block.
@Timeout(120)
class SessionEngineTest {

    private static final int VOCAB = 60;
    private static final int POISON = 59;
    private static final BackendMemory MEMORY = new BackendMemory(new FrameShape(12, 2), new HostShape(12, 40));
    private static final EngineLimits LIMITS = new EngineLimits(4, 512, 32, 100_000, 2000);
    private static final SessionKey KEY = new SessionKey("tenant", "plans");
    /// Half of the vocabulary ends an answer, so that many end where a step is under way behind them.
    private static final Set<Integer> STOPS = Set.of(2, 9, 17, 23, 31, 44, 51, 57);
    private static final SamplingParams SEEDED = new SamplingParams(0.8, 0, 1, 0, 1.2, 0.4, 0.3, Map.of(), List.of(), List.of(), 5, -1);

    @TempDir
    private Path folder;

    private Engine engine;
    private Sessions sessions;

    private void start(Backend backend) {
        engine = Engine.start(backend, LIMITS, EngineObserver.NONE);
        sessions = Sessions.open(engine, new SessionIdentity("fake", "1", backend.cacheFormat()), SessionLimits.DEFAULT, Optional.of(folder));
    }

    @AfterEach
    void stop() {
        sessions.close();
        engine.close();
    }

    private static FakeBackend fake() {
        return new FakeBackend(VOCAB, MEMORY);
    }

    private static GenerationRequest request(int[] prompt, int maxTokens) {
        return new GenerationRequest("test", prompt, maxTokens, 0, STOPS, 1, -1, SEEDED);
    }

    private static int[] read(Generation generation) {
        List<Integer> tokens = new ArrayList<>();
        try {
            while (true) {
                switch (generation.next(Duration.ofSeconds(30))) {
                    case GenerationEvent.Token token -> tokens.add(token.token());
                    case GenerationEvent.Failed failed -> throw failed.cause();
                    case GenerationEvent.Finished _ -> {
                        return tokens.stream().mapToInt(Integer::intValue).toArray();
                    }
                    case GenerationEvent.Admitted _, GenerationEvent.PromptScored _ -> { }
                    case null -> throw new AssertionError("no event within 30 s");
                }
            }
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }

    /// On an engine of its own that awaits every step.
    private static int[] alone(int[] prompt, int maxTokens) {
        try (Engine engine = Engine.start(fake(), LIMITS, EngineObserver.NONE); Engine.Place place = engine.reserve(1, prompt.length)) {
            return read(place.submit(request(prompt, maxTokens)));
        }
    }

    private static int[] random(Random random, int count) {
        return random.ints(count, 0, POISON).toArray();
    }

    private static int[] join(int[] first, int[] second) {
        int[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    /// Turns of random lengths, kept whole or in part, with forks, suspensions and deletions between them, one step ahead of what has
    /// been read and sampled on the device and the host: every answer is that of the whole history alone.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3, 4, 5, 6})
    void everyAnswerIsThatOfItsHistoryAlone(long seed) {
        System.out.println("SessionEngineTest seed " + seed);
        start(seed % 3 == 0 ? fake() : new AheadBackend(fake(), seed, seed % 2 == 0 ? 3 : 0));
        var random = new Random(seed);
        List<SessionKey> keys = new ArrayList<>();
        List<int[]> histories = new ArrayList<>();
        for (int deed = 0; deed < 120; deed++) {
            int which = keys.isEmpty() ? -1 : random.nextInt(keys.size());
            if (which < 0 || keys.size() < 5 && random.nextInt(6) == 0) {
                keys.add(new SessionKey("tenant", "s" + deed));
                histories.add(new int[0]);
                sessions.create(keys.getLast());
            } else if (random.nextInt(7) == 0) {
                sessions.suspend(keys.get(which));
            } else if (random.nextInt(9) == 0 && keys.size() < 5) {
                keys.add(sessions.fork(keys.get(which), "s" + deed).key());
                histories.add(histories.get(which));
            } else if (random.nextInt(15) == 0 || histories.get(which).length > 700) {
                sessions.delete(keys.remove(which));
                histories.remove(which);
            } else {
                histories.set(which, turn(keys.get(which), histories.get(which), random));
            }
        }
        keys.forEach(sessions::delete);
        TestEngine.await(() -> engine.status().atRest());
        assertThat(engine.status().cache().suspendedSequences()).isZero();
        assertThat(engine.status().cache().suspendedBlocks()).isZero();
    }

    private int[] turn(SessionKey key, int[] history, Random random) {
        int[] prompt = join(history, random(random, history.length == 0 ? 1 + random.nextInt(300) : random.nextInt(3) * random.nextInt(100)));
        int maxTokens = 1 + random.nextInt(40);
        try (SessionTurn turn = sessions.begin(key); Engine.Place place = engine.reserve(1, 1000)) {
            assertThat(turn.tokens()).isEqualTo(history);
            int[] answer = read(turn.submit(place, request(prompt, maxTokens)));
            if (prompt.length > history.length) {
                assertThat(answer).as("session %s", key.name()).isEqualTo(alone(prompt, maxTokens));
            }
            if (random.nextInt(6) == 0) {
                return history;
            }
            int kept = random.nextInt(4) == 0 ? random.nextInt(answer.length + 1) : answer.length;
            SessionInfo info = turn.keep(kept);
            assertThat(info.tokens()).isEqualTo(prompt.length + kept);
            assertThat(info.computed()).isLessThanOrEqualTo(info.tokens());
            return join(prompt, Arrays.copyOf(answer, kept));
        }
    }

    @Test
    void aRequestThatComputesNanLeavesNothing() {
        start(fake().poisonedBy(POISON));
        sessions.create(KEY);
        int[] prompt = random(new Random(1), 140);
        int[] answer;
        try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
            answer = read(turn.submit(place, request(prompt, 3)));
            turn.keep(answer.length);
        }
        SessionInfo before = sessions.info(KEY);

        // when what is added makes a row NaN
        try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
            Generation poisoned = turn.submit(place, request(join(turn.tokens(), new int[] {4, POISON}), 5));
            assertThatThrownBy(() -> read(poisoned)).isInstanceOfSatisfying(EngineException.class,
                    failure -> assertThat(failure.kind()).isEqualTo(EngineException.Kind.NUMERIC));
            assertThatThrownBy(() -> turn.keep(0)).isInstanceOf(IllegalStateException.class).hasMessageContaining("failed");
        }

        // then the session is what it was
        SessionInfo after = sessions.info(KEY);
        assertThat(after.tokens()).isEqualTo(before.tokens());
        assertThat(after.computed()).isEqualTo(before.computed());
        int[] history = join(prompt, answer);
        try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
            assertThat(read(turn.submit(place, request(join(history, new int[] {4}), 5)))).isEqualTo(alone(join(history, new int[] {4}), 5));
            turn.keep(0);
        }
    }

    @Test
    void anEngineThatFailsFailsWhoeverWaitsForIt() {
        start(fake().failingAt(3));
        sessions.create(KEY);
        try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
            Generation generation = turn.submit(place, request(random(new Random(1), 20), 500));
            assertThatThrownBy(() -> read(generation)).isInstanceOf(EngineException.class);
            assertThatThrownBy(() -> turn.keep(1)).isInstanceOf(IllegalStateException.class);
        }
        assertThat(sessions.info(KEY).tokens()).isZero();
        assertThat(sessions.suspend(KEY).state()).as("nothing of it is in the engine").isEqualTo(SessionInfo.State.SUSPENDED);
    }

    @Test
    void anEngineWithoutAHostAreaHasNoSessions() {
        try (Engine none = Engine.start(new FakeBackend(VOCAB, MEMORY.frames()), LIMITS, EngineObserver.NONE)) {
            assertThatThrownBy(() -> Sessions.open(none, new SessionIdentity("fake", "1", "x"), SessionLimits.DEFAULT, Optional.empty()))
                    .hasMessageContaining("no host area");
        }
        start(fake());
    }
}
