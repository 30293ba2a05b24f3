package dev.sidewinder.engine.cuda;

import static dev.sidewinder.engine.cuda.EmulatedBackend.ODD;
import static dev.sidewinder.engine.cuda.EmulatedBackend.ROUND;
import static dev.sidewinder.engine.cuda.EmulatedBackend.randomTokens;
import static dev.sidewinder.engine.cuda.EmulatedBackend.relativeError;
import static dev.sidewinder.engine.cuda.EmulatedBackend.run;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.engine.cpu.TestSequence;
import dev.sidewinder.engine.session.SessionIdentity;
import dev.sidewinder.engine.session.SessionKey;
import dev.sidewinder.engine.session.SessionLimits;
import dev.sidewinder.engine.session.SessionTurn;
import dev.sidewinder.engine.session.Sessions;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.LogitRows;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Sessions on the emulated device: a turn begins at any place in a block, and whether the session was suspended before it cannot be
/// told from its answer.
@Timeout(600)
class CudaSessionTest {

    private static final CacheShape SHAPE = new CacheShape(12, 4);
    private static final SessionKey KEY = new SessionKey("tenant", "plans");
    private static final SamplingParams SEEDED = new SamplingParams(0.9, 40, 0.95, 0, 1.1, 0.3, 0.2, Map.of(), List.of(), List.of(), 77, 2);

    @TempDir
    private Path folder;

    /// What a decode step and a scan differ in, and no more.
    @ParameterizedTest
    @ValueSource(strings = {ROUND, ODD})
    void aPieceFromTheMiddleOfABlockComputesWhatSingleTokensDo(String location) {
        try (Model model = Model.open(location);
                CudaBackend backend = EmulatedBackend.open(model, SHAPE, EmulatedBackend.options(256, SHAPE), 1)) {
            for (int from : new int[] {1, 5, 64, 100, 127, 130}) {
                int end = from / 128 * 128 + 128;
                int[] prompt = randomTokens(new Random(from), end, model);
                var single = TestSequence.at(0, 3, prompt);
                var piece = TestSequence.at(1, 3, prompt);
                runTo(backend, single, from);
                runTo(backend, piece, from);
                float[] expected = null;
                for (int i = from; i < end; i++) {
                    expected = run(backend, single.next(1, LogitRows.LAST))[0];
                }
                float[] actual = run(backend, piece.next(end - from, LogitRows.LAST))[0];
                assertThat(relativeError(expected, actual)).as("from %d", from).isLessThan(0.05);
            }
        }
    }

    private static void runTo(CudaBackend backend, TestSequence sequence, int position) {
        int whole = Math.min(position, 128);
        run(backend, sequence.next(whole, LogitRows.NONE));
        if (position > whole) {
            run(backend, sequence.next(position - whole, LogitRows.NONE));
        }
    }

    @Test
    void suspendedIsNeverSuspended() throws InterruptedException {
        List<String> resting;
        List<String> suspended;
        try (Model model = Model.open(ROUND)) {
            resting = answers(model, folder.resolve("resting"), false);
            suspended = answers(model, folder.resolve("suspended"), true);
        }
        assertThat(suspended).isEqualTo(resting);
    }

    /// Three turns, the second from the middle of a block and across an edge, the third with nothing new.
    private List<String> answers(Model model, Path files, boolean suspend) throws InterruptedException {
        List<String> events = new ArrayList<>();
        int[][] added = {randomTokens(new Random(1), 100, model), randomTokens(new Random(2), 60, model), new int[0]};
        int turns = 0;
        while (turns < added.length) {
            try (Running running = new Running(model, files)) {
                if (turns == 0) {
                    running.sessions.create(KEY);
                }
                do {
                    events.addAll(running.turn(added[turns++]));
                    if (suspend) {
                        running.sessions.suspend(KEY);
                    }
                } while (!suspend && turns < added.length);
            }
        }
        return events;
    }

    /// One process.
    private static final class Running implements AutoCloseable {
        private final Engine engine;
        private final Sessions sessions;

        Running(Model model, Path files) {
            CudaOptions options = EmulatedBackend.options(256, SHAPE);
            var frames = CacheLayout.of(model.config(), options.kvFormat()).frames(SHAPE.slots(), SHAPE.blocks());
            CudaBackend backend = EmulatedBackend.open(model, new BackendMemory(frames, new HostShape(4, 12)), options,
                    EmulatorSettings.withSeed(5).lazily());
            engine = Engine.start(backend, new EngineLimits(4, 256, 8, 10_000, 1000), EngineObserver.NONE);
            sessions = Sessions.open(engine, new SessionIdentity("round", "1", backend.cacheFormat()), SessionLimits.DEFAULT,
                    Optional.of(files));
        }

        List<String> turn(int[] added) throws InterruptedException {
            List<String> events = new ArrayList<>();
            try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
                int[] prompt = Arrays.copyOf(turn.tokens(), turn.tokens().length + added.length);
                System.arraycopy(added, 0, prompt, prompt.length - added.length, added.length);
                Generation generation = turn.submit(place, new GenerationRequest("test", prompt, 5, 0, Set.of(), 1, -1, SEEDED));
                while (events.size() < 5) {
                    switch (generation.next(Duration.ofSeconds(300))) {
                        case GenerationEvent.Token token -> events.add(token.token() + " " + token.logprobs().logprob());
                        case GenerationEvent.Failed failed -> throw failed.cause();
                        case GenerationEvent.Finished _, GenerationEvent.Admitted _, GenerationEvent.PromptScored _ -> { }
                        case null -> throw new AssertionError("no event within five minutes");
                    }
                }
                turn.keep(5);
            }
            return events;
        }

        @Override
        public void close() {
            sessions.close();
            engine.close();
        }
    }
}
