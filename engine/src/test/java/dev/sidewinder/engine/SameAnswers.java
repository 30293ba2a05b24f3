package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.engine.SaidTokens.StopText;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Mark;
import dev.sidewinder.scheduler.Preparation;
import dev.sidewinder.scheduler.TokenSource;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.atomic.AtomicReference;
import java.util.concurrent.locks.LockSupport;
import java.util.function.Function;

/// One request, one answer, whatever happens to its memory: the table of docs/same-answers.md, played on any backend.
///
/// Each [Happening] is played for each [Asking] and for prompts that end around the ends of blocks, and every answer is compared, token
/// by token and log-probability bit by bit, with that of an engine that computes one request at a time and keeps nothing. Not for
/// several threads. A backend is opened for each happening, one at a time.
public final class SameAnswers {

    /// A model on a backend.
    public interface Opener {

        /// A fresh backend, closed by the engine that gets it; steps have [#MOST_BATCH_TOKENS] tokens and [#MOST_SEQUENCES] sequences.
        Backend open(BackendMemory memory);

        /// The fewest frames that hold so many states and blocks at once.
        FrameShape frames(int states, int blocks);
    }

    public static final int MOST_BATCH_TOKENS = 512;
    public static final int MOST_SEQUENCES = 4;
    static final int ANSWER = 8;
    static final int MOST_TOKENS = 400;
    static final EngineLimits LIMITS = new EngineLimits(MOST_SEQUENCES, MOST_BATCH_TOKENS, 128, 100_000, MOST_TOKENS);

    private static final int BLOCK = 128;
    /// A step takes one whole block of a prompt and no more.
    private static final EngineLimits NARROW = new EngineLimits(MOST_SEQUENCES, BLOCK + MOST_SEQUENCES, 128, 100_000, MOST_TOKENS);
    private static final int ROOMY_BLOCKS = 16;
    private static final HostShape HOST = new HostShape(16, 48);
    private static final int NEW_TOKENS = 3;
    private static final int SHARED_CHOICES = 2;
    private static final Partition PARTITION = new Partition(3, 4);

    private final Opener opener;
    private final Function<Asking, int[]> lengths;
    private final boolean decodeEqualsScan;
    private final int vocabSize;
    private final int[] text;
    private final List<Case> cases = new ArrayList<>();
    private final SameSessions sessions;

    /// A request, and the answer that it has to get.
    private record Case(Asking asking, int[] prompt, Optional<StopText> stop, SaidTokens expected) {

        @Override
        public String toString() {
            return asking + " behind " + prompt.length;
        }
    }

    /// Computes what everything is compared with.
    ///
    /// @param lengths of prompts, and of what sessions hold when they are forked, at least 7; by the way of asking
    /// @param folder  for files of sessions
    public SameAnswers(Opener opener, Function<Asking, int[]> lengths, Path folder) {
        this.opener = opener;
        this.lengths = lengths;
        Backend backend = opener.open(roomy());
        decodeEqualsScan = backend.decodeEqualsScan();
        vocabSize = backend.vocabSize();
        try (Engine engine = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            text = new Random(4).ints(MOST_TOKENS, 0, vocabSize).toArray();
            for (Asking asking : Asking.values()) {
                for (int length : lengths.apply(asking)) {
                    cases.add(alone(engine, asking, Arrays.copyOf(text, length)));
                }
            }
        }
        sessions = new SameSessions(this, folder);
    }

    /// Plays it in every way of asking and for every length.
    public void check(Happening happening) {
        switch (happening) {
            case CACHED -> cached();
            case CONTINUED -> continued();
            case PREPARED -> prepared();
            case AMONG_OTHERS -> amongOthers();
            case SUSPENDED -> suspended();
            case CHOICES -> choices();
            case FORKED -> sessions.forked();
            case FORKED_INTO_FILES -> sessions.forkedIntoFiles();
        }
    }

    Engine engine(EngineLimits limits, BackendMemory memory) {
        return Engine.start(opener.open(memory), limits, EngineObserver.NONE);
    }

    BackendMemory roomy() {
        return new BackendMemory(opener.frames(MOST_SEQUENCES + 4, ROOMY_BLOCKS), HOST);
    }

    int[] lengths(Asking asking) {
        return lengths.apply(asking);
    }

    int[] text() {
        return text;
    }

    int vocabSize() {
        return vocabSize;
    }

    /// Whether an answer is what it would be if all before it were a prompt.
    boolean decodeEqualsScan() {
        return decodeEqualsScan;
    }

    static Generation submit(Engine engine, GenerationRequest request) {
        try (Engine.Place place = engine.reserve(request.choices(), request.prompt().length)) {
            return place.submit(request);
        }
    }

    private GenerationRequest request(Case each) {
        return each.asking.request(each.prompt, ANSWER, vocabSize);
    }

    /// The state is kept at the last edge of a block in front of the prompt's last token.
    private static GenerationRequest reusing(GenerationRequest request) {
        return request.withPrefixes(PARTITION, List.of(new Mark(request.prompt().length, CheckpointPoint.TURN_START)), false);
    }

    private Case alone(Engine engine, Asking asking, int[] prompt) {
        GenerationRequest request = asking.request(prompt, ANSWER, vocabSize);
        SaidTokens whole = SaidTokens.read(submit(engine, request), Optional.empty());
        if (asking != Asking.STOPPED) {
            return new Case(asking, prompt, Optional.empty(), whole);
        }
        StopText stop = StopText.in(whole, Math.floorMod(-prompt.length, BLOCK) % (ANSWER / 2));
        SaidTokens expected = SaidTokens.read(submit(engine, request), Optional.of(stop));
        assertThat(whole.tokens()).as("an answer that is stopped is the beginning of the whole one").startsWith(expected.tokens().toArray(String[]::new));
        return new Case(asking, prompt, Optional.of(stop), expected);
    }

    private static void assertSame(Case each, SaidTokens actual, Happening happening) {
        assertThat(actual).as("%s, %s", each, happening).isEqualTo(each.expected);
    }

    /// Of half of the cases a step that goes on leaves the state, of the others one that ends there.
    private void cached() {
        for (EngineLimits limits : List.of(LIMITS, NARROW)) {
            try (Engine engine = engine(limits, roomy())) {
                for (int i = limits == LIMITS ? 0 : 1; i < cases.size(); i += 2) {
                    cached(engine, cases.get(i));
                }
            }
        }
    }

    private void cached(Engine engine, Case each) {
        // given the prompt, from somebody who asks for nothing more
        engine.dropPrefixes(Optional.empty());
        SaidTokens.read(submit(engine, reusing(Asking.GREEDY.request(each.prompt, 0, vocabSize))), Optional.empty());

        Reading reading = read(engine, reusing(request(each)), each.stop);

        assertThat(reading.reusedTokens).as("%s, tokens that were there", each).isEqualTo((each.prompt.length - 1) / BLOCK * BLOCK);
        assertSame(each, reading.said, Happening.CACHED);
    }

    /// Turn by turn, the whole conversation as the prompt, as a client sends it.
    private void continued() {
        List<Case> next = new ArrayList<>();
        try (Engine engine = engine(LIMITS, roomy())) {
            for (Case each : cases) {
                int[] conversation = join(each.prompt, each.expected.ids());
                next.add(alone(engine, each.asking, join(conversation, Arrays.copyOf(text, NEW_TOKENS))));
            }
        }
        try (Engine engine = engine(LIMITS, roomy())) {
            for (int i = 0; i < next.size(); i++) {
                Case first = cases.get(i);
                Case second = next.get(i);
                engine.dropPrefixes(Optional.empty());
                SaidTokens.read(submit(engine, reusing(request(first)).keepingAnswer()), first.stop);
                Reading reading = read(engine, reusing(request(second)), second.stop);
                int inPrompt = (first.prompt.length - 1) / BLOCK * BLOCK;
                // What decode steps have left serves others only where a scan would have left the same.
                int inAnswer = decodeEqualsScan ? (second.prompt.length - NEW_TOKENS - 1) / BLOCK * BLOCK : inPrompt;
                assertThat(reading.reusedTokens).as("%s, tokens that were there", second).isBetween(inPrompt, Math.max(inPrompt, inAnswer));
                assertSame(second, reading.said, Happening.CONTINUED);
            }
        }
    }

    private void prepared() {
        try (Engine engine = engine(LIMITS, roomy())) {
            for (Case each : cases) {
                engine.dropPrefixes(Optional.empty());
                prepare(engine, Arrays.copyOf(each.prompt, Math.min(BLOCK, each.prompt.length)), 0);
                prepare(engine, each.prompt, BLOCK);

                Reading reading = read(engine, reusing(request(each)), each.stop);

                assertThat(reading.reusedTokens).as("%s, tokens that were there", each).isEqualTo((each.prompt.length - 1) / BLOCK * BLOCK);
                assertSame(each, reading.said, Happening.PREPARED);
            }
        }
    }

    /// @param there tokens that are there already
    private static void prepare(Engine engine, int[] tokens, int there) {
        long done = engine.status().preparations().done();
        engine.prepare(new Preparation(PARTITION, tokens, 1));
        if (tokens.length / BLOCK * BLOCK <= there) {
            return;
        }
        for (int millis = 0; engine.status().preparations().done() == done; millis++) {
            assertThat(millis).as("milliseconds until %d tokens are prepared", tokens.length).isLessThan(60_000);
            LockSupport.parkNanos(1_000_000);
        }
    }

    /// Prompts are cut on the grid: on a device a cut elsewhere is another order of sums, which so small a model may hide.
    private void amongOthers() {
        Set<Integer> offGrid = ConcurrentHashMap.newKeySet();
        Backend backend = new WatchedBackend(opener.open(roomy()), batch -> {
            batch.entries().stream().filter(entry -> entry.source() == TokenSource.PROMPT && entry.from() % BLOCK != 0)
                    .forEach(entry -> offGrid.add(entry.from()));
            return batch;
        });
        try (Engine engine = Engine.start(backend, NARROW, EngineObserver.NONE)) {
            List<Generation> generations = new ArrayList<>();
            for (Case each : cases) {
                generations.add(submit(engine, request(each)));
            }
            for (int i = 0; i < generations.size(); i++) {
                Case each = cases.get(i);
                assertSame(each, SaidTokens.read(generations.get(i), each.stop), Happening.AMONG_OTHERS);
            }
        }
        assertThat(offGrid).as("tokens at which prompts were cut, off the grid of %d", BLOCK).isEmpty();
    }

    /// Two sequences and a pool that has one block less than they want in the end. The older one takes its last block with its fifth token
    /// and outlives the other, which arrives in its first step.
    private void suspended() {
        int blocks = 4;
        var arrival = new AtomicReference<Runnable>(() -> { });
        Backend backend = new WatchedBackend(opener.open(new BackendMemory(opener.frames(2, blocks), HOST)), batch -> {
            arrival.getAndSet(() -> { }).run();
            return batch;
        });
        try (Engine engine = Engine.start(backend, LIMITS, EngineObserver.NONE)) {
            for (Case each : cases) {
                int most = Math.ceilDiv(each.prompt.length + ANSWER - 1, BLOCK);
                int[] older = Arrays.copyOfRange(text, 5, 5 + (blocks - most) * BLOCK - 4);
                long before = engine.status().preemptions().copied();
                var younger = new CompletableFuture<Generation>();
                arrival.set(() -> younger.complete(submit(engine, request(each))));
                Generation first = submit(engine, Asking.GREEDY.request(older, 2 * ANSWER, vocabSize));

                SaidTokens said = SaidTokens.read(younger.join(), each.stop);

                SaidTokens.read(first, Optional.empty());
                assertSame(each, said, Happening.SUSPENDED);
                if (each.expected.tokens().size() == ANSWER) {
                    assertThat(engine.status().preemptions().copied()).as("%s, times that it had to leave", each).isGreaterThan(before);
                }
            }
        }
    }

    private void choices() {
        try (Engine engine = engine(LIMITS, roomy())) {
            for (Case each : cases) {
                if (each.prompt.length > BLOCK) {
                    GenerationRequest request = each.asking.request(each.prompt, ANSWER, vocabSize, SHARED_CHOICES);
                    List<SaidTokens> copied = SaidTokens.readAll(submit(engine, request), SHARED_CHOICES, each.stop);
                    engine.dropPrefixes(Optional.empty());

                    List<SaidTokens> forked = SaidTokens.readAll(submit(engine, reusing(request)), SHARED_CHOICES, each.stop);

                    assertSame(each, forked.getFirst(), Happening.CHOICES);
                    assertThat(forked).as("choices of %s", each).isEqualTo(copied);
                }
            }
        }
    }

    static int[] join(int[] first, int[] second) {
        int[] both = Arrays.copyOf(first, first.length + second.length);
        System.arraycopy(second, 0, both, first.length, second.length);
        return both;
    }

    /// What a reader has got, and what the engine says of its prompt.
    private record Reading(SaidTokens said, int reusedTokens) {}

    private static Reading read(Engine engine, GenerationRequest request, Optional<StopText> stop) {
        var reused = new int[] {-1};
        Generation generation = submit(engine, request);
        SaidTokens said = SaidTokens.read(generation, stop, tokens -> reused[0] = tokens);
        return new Reading(said, reused[0]);
    }
}
