package dev.sidewinder.engine.session;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.EngineObserver;
import dev.sidewinder.engine.Generation;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.SamplingParams;
import dev.sidewinder.engine.cpu.Arithmetic;
import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.engine.cpu.CpuCacheLayout;
import dev.sidewinder.engine.cpu.CpuOptions;
import dev.sidewinder.engine.session.SessionException.Kind;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.Model;
import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.stream.IntStream;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Sessions on the CPU backend: whatever happens to one between its requests, its tokens are those of one request that was never
/// interrupted.
@Timeout(300)
class SessionsTest {

    private static final SessionKey KEY = new SessionKey("tenant", "plans");
    private static final SessionIdentity IDENTITY = new SessionIdentity("tiny", "r1", "");
    private static final Duration PATIENCE = Duration.ofSeconds(60);
    private static final SamplingParams GREEDY = SamplingParams.greedy();
    /// Depends on every token before it, on which of them were generated, and on where they stand.
    private static final SamplingParams SEEDED = new SamplingParams(0.9, 40, 0.95, 0.01, 1.1, 0.3, 0.2, Map.of(3, 1.5f), List.of(),
            List.of(), 77, 2);

    @TempDir
    private Path folder;

    private final Model model = Model.open("synthetic:tiny");
    private final int[] text = new Random(9).ints(600, 0, model.config().vocabSize()).toArray();
    private Engine engine;
    private Sessions sessions;

    @BeforeEach
    void start() {
        start(new HostShape(16, 64), Optional.of(folder));
    }

    private void start(HostShape host, Optional<Path> files) {
        var memory = new BackendMemory(CpuCacheLayout.of(model.config(), Arithmetic.F32).frames(6, 24), host);
        var backend = new CpuBackend(model.config(), model.weights(), memory,
                new CpuOptions(Arithmetic.F32, 2, 512, CpuOptions.Products.VECTOR), LoadProgress.SILENT);
        engine = Engine.start(backend, new EngineLimits(4, 512, 64, 100_000, 2000), EngineObserver.NONE);
        sessions = Sessions.open(engine, new SessionIdentity(IDENTITY.model(), IDENTITY.revision(), backend.cacheFormat()),
                new SessionLimits(12, 10), files);
    }

    @AfterEach
    void stop() {
        sessions.close();
        engine.close();
        model.close();
    }

    /// Another process with the same model: nothing of this one is left but files.
    private void restart() {
        sessions.close();
        engine.close();
        start(new HostShape(16, 64), Optional.of(folder));
    }

    private static GenerationRequest request(int[] prompt, int maxTokens, SamplingParams sampling) {
        return new GenerationRequest("test", prompt, maxTokens, 0, Set.of(), 1, -1, sampling);
    }

    /// The tokens of an answer with their log-probabilities, as text, and the tokens themselves.
    private record Answer(List<Integer> tokens, List<String> events) {
        static Answer empty() {
            return new Answer(new ArrayList<>(), new ArrayList<>());
        }

        int[] ids() {
            return tokens.stream().mapToInt(Integer::intValue).toArray();
        }
    }

    private static void read(Generation generation, Answer answer) {
        try {
            while (true) {
                switch (generation.next(PATIENCE)) {
                    case GenerationEvent.Token token -> {
                        answer.tokens().add(token.token());
                        answer.events().add(token.token() + " " + (token.logprobs() == null ? "" : token.logprobs().logprob()));
                    }
                    case GenerationEvent.Finished _ -> {
                        return;
                    }
                    case GenerationEvent.Failed failed -> throw failed.cause();
                    case GenerationEvent.Admitted _, GenerationEvent.PromptScored _ -> { }
                    case null -> throw new AssertionError("no event within " + PATIENCE);
                }
            }
        } catch (InterruptedException interrupted) {
            throw new AssertionError(interrupted);
        }
    }

    /// Without any session.
    private Answer alone(int[] prompt, int maxTokens, SamplingParams sampling) {
        Answer answer = Answer.empty();
        try (Engine.Place place = engine.reserve(1, prompt.length)) {
            read(place.submit(request(prompt, maxTokens, sampling)), answer);
        }
        return answer;
    }

    /// A request of a session, which is kept whole.
    private void turn(SessionKey key, int[] added, int maxTokens, SamplingParams sampling, Answer answer) {
        try (SessionTurn turn = sessions.begin(key); Engine.Place place = engine.reserve(1, 1000)) {
            int before = answer.tokens().size();
            read(turn.submit(place, request(join(turn.tokens(), added), maxTokens, sampling)), answer);
            turn.keep(answer.tokens().size() - before);
        }
    }

    private static int[] join(int[] first, int[] second) {
        return IntStream.concat(Arrays.stream(first), Arrays.stream(second)).toArray();
    }

    private int[] text(int from, int to) {
        return Arrays.copyOfRange(text, from, to);
    }

    private void assertRefused(Kind kind, Runnable deed) {
        assertThatThrownBy(deed::run).isInstanceOfSatisfying(SessionException.class, refusal ->
                assertThat(refusal.kind()).as(refusal.getMessage()).isEqualTo(kind));
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 126, 127, 128, 129, 130, 254, 255, 256, 257, 383})
    void anAnswerInPartsHasTheTokensOfOneThatWasNeverSuspended(int promptTokens) {
        for (SamplingParams sampling : List.of(GREEDY, SEEDED)) {
            Answer expected = alone(text(0, promptTokens), 12, sampling);
            var key = new SessionKey("tenant", "s" + promptTokens + sampling.seed());
            Answer answer = Answer.empty();

            // when the answer is given in parts: at rest on the host, from a file, and in another process
            sessions.create(key);
            turn(key, text(0, promptTokens), 1, sampling, answer);
            turn(key, new int[0], 3, sampling, answer);
            assertThat(sessions.suspend(key).state()).isEqualTo(SessionInfo.State.SUSPENDED);
            turn(key, new int[0], 4, sampling, answer);
            sessions.suspend(key);
            restart();
            assertThat(sessions.resume(key).state()).isEqualTo(SessionInfo.State.LIVE);
            turn(key, new int[0], 4, sampling, answer);

            // then it is the same, token by token, with its log-probabilities
            assertThat(answer.events()).isEqualTo(expected.events());
            assertThat(sessions.info(key).tokens()).isEqualTo(promptTokens + 12);
            assertThat(sessions.info(key).computed()).isEqualTo(promptTokens + 11);
        }
    }

    @Test
    void goesOnWithWhatIsNewOnly() {
        for (int first : new int[] {100, 127, 128, 250}) {
            for (int second : new int[] {1, 5, 130}) {
                var key = new SessionKey("tenant", first + "-" + second);
                Answer answer = Answer.empty();
                sessions.create(key);
                turn(key, text(0, first), 6, SEEDED, answer);
                int[] prompt = join(join(text(0, first), answer.ids()), text(300, 300 + second));
                Answer expected = alone(prompt, 7, SEEDED);
                Answer further = Answer.empty();

                turn(key, text(300, 300 + second), 7, SEEDED, further);

                assertThat(further.events()).as("%d, then %d", first, second).isEqualTo(expected.events());
                sessions.delete(key);
            }
        }
    }

    @Test
    void forksShareTheirPastAndNothingElse() {
        // given a session that ends inside a block
        Answer past = Answer.empty();
        sessions.create(KEY);
        turn(KEY, text(0, 200), 5, GREEDY, past);
        int[] history = join(text(0, 200), past.ids());
        long bytes = sessions.info(KEY).bytes();

        // when two forks go on differently, and the first also after the original is gone
        SessionKey left = sessions.fork(KEY, "left").key();
        SessionKey right = sessions.fork(KEY, "right").key();
        assertThat(sessions.info(left).bytes()).isEqualTo(bytes);
        Answer onLeft = Answer.empty();
        Answer onRight = Answer.empty();
        turn(left, text(300, 310), 60, GREEDY, onLeft);
        turn(right, text(400, 411), 60, GREEDY, onRight);
        sessions.delete(KEY);
        Answer further = Answer.empty();
        turn(left, text(500, 501), 5, GREEDY, further);

        // then each is as if it had been alone all the time
        assertThat(onLeft.events()).isEqualTo(alone(join(history, text(300, 310)), 60, GREEDY).events());
        assertThat(onRight.events()).isEqualTo(alone(join(history, text(400, 411)), 60, GREEDY).events());
        int[] all = join(join(join(history, text(300, 310)), onLeft.ids()), text(500, 501));
        assertThat(further.events()).isEqualTo(alone(all, 5, GREEDY).events());
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 127, 128, 129, 300})
    void beginsWithAPrefix(int prefix) {
        try (Engine.Place place = engine.reserve(1, prefix)) {
            SessionInfo made = sessions.create(KEY, place, text(0, prefix));
            assertThat(made.tokens()).isEqualTo(prefix);
            assertThat(made.computed()).isEqualTo(prefix - 1);
        }
        Answer answer = Answer.empty();
        turn(KEY, new int[0], 4, SEEDED, answer);
        assertThat(answer.events()).isEqualTo(alone(text(0, prefix), 4, SEEDED).events());
    }

    @Test
    void aTurnThatIsNotKeptLeavesNothing() {
        Answer past = Answer.empty();
        sessions.create(KEY);
        turn(KEY, text(0, 130), 5, GREEDY, past);
        SessionInfo before = sessions.info(KEY);

        // when a turn is closed in the middle of its answer, and one whose prompt is something else
        try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
            turn.submit(place, request(join(turn.tokens(), text(300, 420)), 1000, GREEDY));
        }
        try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
            assertThatThrownBy(() -> turn.submit(place, request(text(0, 134), 5, GREEDY)))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("does not begin with the 135 tokens");
        }

        // then it goes on where it was
        assertThat(sessions.info(KEY).tokens()).isEqualTo(before.tokens());
        assertThat(sessions.info(KEY).computed()).isEqualTo(before.computed());
        Answer further = Answer.empty();
        turn(KEY, new int[0], 5, GREEDY, further);
        assertThat(join(past.ids(), further.ids())).isEqualTo(alone(text(0, 130), 10, GREEDY).ids());
    }

    @Test
    void keepsAsMuchOfAnAnswerAsItIsTold() {
        for (int kept : new int[] {0, 1, 3, 6, 7}) {
            var key = new SessionKey("tenant", "kept" + kept);
            sessions.create(key);
            Answer answer = Answer.empty();
            try (SessionTurn turn = sessions.begin(key); Engine.Place place = engine.reserve(1, 1000)) {
                read(turn.submit(place, request(text(0, 125), 7, GREEDY)), answer);
                assertThat(turn.keep(kept).tokens()).isEqualTo(125 + kept);
            }
            int[] history = join(text(0, 125), Arrays.copyOf(answer.ids(), kept));
            Answer further = Answer.empty();
            turn(key, text(300, 305), 4, GREEDY, further);
            assertThat(further.events()).as("%d kept", kept)
                    .isEqualTo(alone(join(history, text(300, 305)), 4, GREEDY).events());
        }
    }

    @Test
    void oneRequestAtATime() {
        sessions.create(KEY);
        try (SessionTurn _ = sessions.begin(KEY)) {
            assertThat(sessions.info(KEY).state()).isEqualTo(SessionInfo.State.BUSY);
            assertRefused(Kind.BUSY, () -> sessions.begin(KEY));
            assertRefused(Kind.BUSY, () -> sessions.fork(KEY, "other"));
            assertRefused(Kind.BUSY, () -> sessions.suspend(KEY));
            assertRefused(Kind.BUSY, () -> sessions.delete(KEY));
        }
        sessions.begin(KEY).close();
    }

    @Test
    void namesBelongToTheirOwners() {
        sessions.create(KEY);
        var others = new SessionKey("other", "plans");
        assertRefused(Kind.NOT_FOUND, () -> sessions.begin(others));
        sessions.create(others);
        assertRefused(Kind.EXISTS, () -> sessions.create(KEY));
        assertThat(sessions.list("tenant")).extracting(info -> info.key().name()).containsExactly("plans");
        sessions.delete(others);
        assertThat(sessions.list("other")).isEmpty();
        for (int i = 0; i < 9; i++) {
            sessions.create(new SessionKey("tenant", "more" + i));
        }
        assertRefused(Kind.TOO_MANY, () -> sessions.create(new SessionKey("tenant", "eleventh")));
        sessions.create(new SessionKey("other", "a"));
        sessions.create(new SessionKey("other", "b"));
        assertRefused(Kind.TOO_MANY, () -> sessions.create(new SessionKey("other", "c")));
    }

    @Test
    void aFileOfAnotherModelIsRefusedAndStays() throws IOException {
        Answer answer = Answer.empty();
        sessions.create(KEY);
        turn(KEY, text(0, 100), 3, GREEDY, answer);
        sessions.close();
        engine.close();
        try (Model other = Model.open("synthetic:tiny,vocab=300")) {
            var memory = new BackendMemory(CpuCacheLayout.of(other.config(), Arithmetic.BF16).frames(2, 8), new HostShape(2, 8));
            var backend = new CpuBackend(other.config(), other.weights(), memory,
                    new CpuOptions(Arithmetic.BF16, 1, 256, CpuOptions.Products.VECTOR), LoadProgress.SILENT);
            try (Engine different = Engine.start(backend, new EngineLimits(2, 256, 8, 1000, 500), EngineObserver.NONE);
                    Sessions there = Sessions.open(different, new SessionIdentity("tiny", "r1", backend.cacheFormat()),
                            SessionLimits.DEFAULT, Optional.of(folder))) {
                assertThat(there.info(KEY).state()).isEqualTo(SessionInfo.State.SUSPENDED);
                assertRefused(Kind.INCOMPATIBLE, () -> there.resume(KEY));
                assertRefused(Kind.INCOMPATIBLE, () -> there.begin(KEY));
                assertRefused(Kind.EXISTS, () -> there.create(KEY));
            }
        }
        start(new HostShape(16, 64), Optional.of(folder));
        Answer further = Answer.empty();
        turn(KEY, new int[0], 3, GREEDY, further);
        assertThat(join(answer.ids(), further.ids())).isEqualTo(alone(text(0, 100), 6, GREEDY).ids());
    }

    @Test
    void aDamagedFileIsRefusedAndTakesNoMemory() throws IOException {
        sessions.create(KEY);
        turn(KEY, text(0, 100), 3, GREEDY, Answer.empty());
        sessions.suspend(KEY);
        Path file;
        try (var files = Files.list(folder)) {
            file = files.findFirst().orElseThrow();
        }
        byte[] bytes = Files.readAllBytes(file);
        bytes[bytes.length - 100] ^= 1;
        Files.write(file, bytes);
        for (int i = 0; i < 100; i++) {
            assertRefused(Kind.DAMAGED, () -> sessions.resume(KEY));
        }
        bytes[bytes.length - 100] ^= 1;
        Files.write(file, bytes);
        assertThat(sessions.resume(KEY).computed()).isEqualTo(102);
    }

    /// Blocks are not cleared when they are given out, so the end of a session's last block may hold what another one left there.
    @Test
    void aFileHoldsNothingOfWhoHadTheMemoryBefore() throws IOException {
        sessions.create(KEY);
        turn(KEY, text(0, 130), 3, GREEDY, Answer.empty());
        sessions.suspend(KEY);
        byte[] clean = content();
        sessions.delete(KEY);
        for (int i = 0; i < 8; i++) {
            alone(text(50 * i, 50 * i + 200), 5, GREEDY);
        }
        sessions.create(KEY);
        turn(KEY, text(0, 130), 3, GREEDY, Answer.empty());
        sessions.suspend(KEY);
        assertThat(content()).isEqualTo(clean);
    }

    /// State and blocks of the one file.
    private byte[] content() throws IOException {
        try (var files = Files.list(folder)) {
            byte[] all = Files.readAllBytes(files.findFirst().orElseThrow());
            int header = 8 + (int) ByteBuffer.wrap(all).order(ByteOrder.LITTLE_ENDIAN).getLong(0);
            return Arrays.copyOfRange(all, header, all.length);
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void moreThanTheHostAreaHoldsGoOnAllTheSame(boolean withFolder) {
        // given room for three states, of which the running session has an old and a new one, and eight that take turns
        sessions.close();
        engine.close();
        start(new HostShape(6, 16), withFolder ? Optional.of(folder) : Optional.empty());
        Answer[] answers = new Answer[8];
        for (int i = 0; i < answers.length; i++) {
            answers[i] = Answer.empty();
            sessions.create(new SessionKey("tenant", "s" + i));
            turn(new SessionKey("tenant", "s" + i), text(10 * i, 10 * i + 140), 3, SEEDED, answers[i]);
        }
        for (int round = 0; round < 3; round++) {
            for (int i = 0; i < answers.length; i++) {
                turn(new SessionKey("tenant", "s" + i), new int[0], 3, SEEDED, answers[i]);
            }
        }
        for (int i = 0; i < answers.length; i++) {
            assertThat(answers[i].events()).isEqualTo(alone(text(10 * i, 10 * i + 140), 12, SEEDED).events());
        }
        Sessions.Counts counts = sessions.counts();
        assertThat(counts.live() + counts.suspended()).isEqualTo(8);
        assertThat(counts.suspended()).isEqualTo(withFolder ? 6 : 0);
        if (!withFolder) {
            assertRefused(Kind.UNSUPPORTED, () -> sessions.suspend(new SessionKey("tenant", "s0")));
        }
    }

    @Test
    void aSessionThatCanNeverFitIsRefusedWithBothNumbers() {
        sessions.close();
        engine.close();
        start(new HostShape(2, 4), Optional.of(folder));
        sessions.create(KEY);
        try (SessionTurn turn = sessions.begin(KEY); Engine.Place place = engine.reserve(1, 1000)) {
            assertThatThrownBy(() -> turn.submit(place, request(text(0, 250), 10, GREEDY)))
                    .isInstanceOfSatisfying(SessionException.class, refusal -> {
                        assertThat(refusal.kind()).isEqualTo(Kind.TOO_LARGE);
                        assertThat(refusal.getMessage()).contains("3 blocks").contains("have 2");
                    });
            assertThatThrownBy(() -> turn.keep(0)).isInstanceOf(IllegalStateException.class);
        }
        Answer answer = Answer.empty();
        turn(KEY, text(0, 200), 5, GREEDY, answer);
        assertThat(answer.events()).isEqualTo(alone(text(0, 200), 5, GREEDY).events());
    }

    @Test
    void sessionsUnderLoadHaveTheTokensTheyHaveAlone() throws InterruptedException {
        // given eight sessions on threads of their own, each with turns, suspensions and a fork
        Answer[] answers = new Answer[8];
        var threads = new ArrayList<Thread>();
        for (int i = 0; i < answers.length; i++) {
            int which = i;
            answers[i] = Answer.empty();
            threads.add(Thread.ofVirtual().start(() -> {
                var key = new SessionKey("tenant", "s" + which);
                sessions.create(key);
                turn(key, text(20 * which, 20 * which + 120 + which), 4, SEEDED, answers[which]);
                for (int round = 0; round < 3; round++) {
                    if ((which + round) % 3 == 0) {
                        sessions.suspend(key);
                    }
                    turn(key, new int[0], 4, SEEDED, answers[which]);
                }
            }));
        }
        for (Thread thread : threads) {
            thread.join(PATIENCE);
        }
        for (int i = 0; i < answers.length; i++) {
            assertThat(answers[i].events()).as("session %d", i)
                    .isEqualTo(alone(text(20 * i, 20 * i + 120 + i), 16, SEEDED).events());
        }
    }
}
