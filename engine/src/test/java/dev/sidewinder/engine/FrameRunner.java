package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.Growth;
import dev.sidewinder.kvcache.MemoryAdmission;
import dev.sidewinder.kvcache.MemoryWish;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.kvcache.ReuseEstimate;
import dev.sidewinder.kvcache.SequenceMemory;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.kvcache.SuspendedMemory;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.SplittableRandom;
import java.util.function.Supplier;

/// Runs sequences on a backend in the memory that a [FrameCache] gives them, a step at a time: what the engine does, without its
/// scheduling and choosing, so that a test says what happens when. Tokens are given beforehand; every row of logits is kept.
public final class FrameRunner {

    /// A sequence and what came of it.
    public static final class Run {
        private final long id;
        private final int[] tokens;
        private final int promptTokens;
        private SequenceMemory memory;
        private SuspendedMemory suspended;
        private int done;
        private final float[][] rows;

        private Run(long id, int[] tokens, int promptTokens, SequenceMemory memory, int done) {
            this.id = id;
            this.tokens = tokens;
            this.promptTokens = promptTokens;
            this.memory = memory;
            this.done = done;
            rows = new float[tokens.length][];
        }

        /// Tokens that have run.
        public int done() {
            return done;
        }

        /// Tokens of the prompt that were there before.
        public int reusedTokens() {
            return memory.reusedTokens();
        }

        /// Logits behind each token that this run computed, by position; null for others.
        public float[][] rows() {
            return rows;
        }

        public SequenceMemory memory() {
            return memory;
        }

        /// Prompt and what is generated behind it.
        public int length() {
            return tokens.length;
        }

        /// Tokens of the prompt that have not run; none behind it.
        public int promptLeft() {
            return promptTokens - done;
        }
    }

    /// Tokens of one sequence in a step.
    ///
    /// @param onTheWay positions before their end where the state is to be kept, too, which must be in the prompt
    /// @param keep     why the state behind them is to be kept, if it is
    /// @param must     whether there have to be frames for all of them
    public record Piece(Run run, int count, List<Integer> onTheWay, Optional<CheckpointPoint> keep, boolean must) {
        public Piece(Run run, int count, Optional<CheckpointPoint> keep, boolean must) {
            this(run, count, List.of(), keep, must);
        }

        public Piece(Run run, int count, Optional<CheckpointPoint> keep) {
            this(run, count, keep, true);
        }

        public static Piece of(Run run, int count) {
            return new Piece(run, count, Optional.empty());
        }
    }

    private final Backend backend;
    private final FrameCache cache;
    private long step;
    private long newest;

    public FrameRunner(Backend backend, BackendMemory memory, long seed) {
        this.backend = backend;
        cache = new FrameCache(memory.frames(), memory.host(), ReuseEstimate.DEFAULT, new SplittableRandom(seed));
    }

    public FrameCache cache() {
        return cache;
    }

    /// Begins a sequence, with memory for all of its tokens.
    ///
    /// @param tokens prompt, and what is generated behind it
    public Run admit(Optional<Partition> partition, int[] tokens, int promptTokens) {
        SequenceMemory memory = granted(() -> cache.admit(new MemoryWish(partition, tokens, promptTokens, tokens.length)));
        return new Run(++newest, tokens, promptTokens, memory, memory.reusedTokens());
    }

    /// A second sequence that goes on with other tokens from where one stands.
    public Run fork(Run run, int[] tokens, int promptTokens) {
        if (!Arrays.equals(tokens, 0, run.done, run.tokens, 0, run.done)) {
            throw new IllegalArgumentException("a fork has the tokens of what it was forked from");
        }
        SequenceMemory memory = granted(() -> run.memory.fork(run.tokens, run.done, tokens.length));
        return new Run(++newest, tokens, promptTokens, memory, run.done);
    }

    /// Where memory comes free with steps, a step of nothing but copies is what brings it.
    private SequenceMemory granted(Supplier<MemoryAdmission> wish) {
        for (int tries = 0; tries < 4; tries++) {
            switch (wish.get()) {
                case MemoryAdmission.Granted(SequenceMemory memory) -> {
                    return memory;
                }
                case MemoryAdmission.WaitForSteps _ -> step();
                case MemoryAdmission.WaitForOthers _ -> throw new AssertionError("others hold the memory: " + cache.pool().use());
                case MemoryAdmission.NeverFits(var numbers) -> throw new AssertionError("it never fits: " + numbers);
            }
        }
        throw new AssertionError("there is room, and it does not come: " + cache.pool().use());
    }

    /// Moves a sequence to the host area; the next step copies it.
    public void suspend(Run run) {
        run.suspended = run.memory.suspend().orElseThrow(() -> new AssertionError("no room in the host area"));
        run.memory = null;
    }

    public void resume(Run run) {
        run.memory = granted(() -> run.suspended.resume(run.tokens.length));
        run.suspended = null;
    }

    /// The bytes of a sequence's state. Its memory lies elsewhere then.
    public byte[] state(Run run) {
        suspend(run);
        step();
        byte[] bytes = backend.hostState(run.suspended.statePlace()).toArray(ValueLayout.JAVA_BYTE);
        resume(run);
        step();
        return bytes;
    }

    /// The bytes of a sequence's blocks, zeros behind its last token. Its memory lies elsewhere then.
    public List<byte[]> blocks(Run run) {
        suspend(run);
        step();
        List<byte[]> blocks = new ArrayList<>();
        for (int i = 0; i < CacheShape.blocksFor(run.done); i++) {
            byte[] bytes = backend.hostBlock(run.suspended.blockPlace(i)).toArray(ValueLayout.JAVA_BYTE);
            backend.clearBehind(MemorySegment.ofArray(bytes), Math.min(CacheShape.BLOCK_TOKENS, run.done - i * CacheShape.BLOCK_TOKENS));
            blocks.add(bytes);
        }
        resume(run);
        step();
        return blocks;
    }

    public void close(Run run) {
        if (run.suspended != null) {
            run.suspended.close();
        } else {
            run.memory.close();
        }
    }

    /// Runs the rest of a prompt in one piece, with the state kept at these positions on the way.
    public void prefill(Run run, int... keepAt) {
        List<Integer> onTheWay = Arrays.stream(keepAt).filter(position -> position > run.done).boxed().toList();
        step(new Piece(run, run.promptLeft(), onTheWay, Optional.empty(), true));
    }

    /// Runs the rest of a prompt in pieces that end at these positions, with the state kept at each, and behind the last one
    /// what is left of it.
    public void prefillInPieces(Run run, int... keepAt) {
        for (int position : keepAt) {
            if (position > run.done) {
                step(new Piece(run, position - run.done, Optional.of(CheckpointPoint.INTERVAL)));
            }
        }
        step(Piece.of(run, run.promptLeft()));
    }

    /// Runs the tokens behind the prompt, one by one.
    public void generate(Run run, int count) {
        for (int i = 0; i < count; i++) {
            step(Piece.of(run, 1));
        }
    }

    /// One step: pieces of sequences, or copies only.
    public void step(Piece... pieces) {
        List<BatchEntry> entries = new ArrayList<>();
        for (Piece piece : pieces) {
            entries.add(reserved(piece));
        }
        var batch = new Batch(++step, entries, cache.launch(step));
        Logits logits = backend.forward(batch);
        takeRows(pieces, logits);
        cache.stepCompleted(step);
        for (Piece piece : pieces) {
            piece.run.done += piece.count;
            piece.run.memory.computed(piece.run.tokens, piece.run.done);
        }
        cache.checkInvariants();
    }

    private BatchEntry reserved(Piece piece) {
        Run run = piece.run;
        int end = run.done + piece.count;
        Growth growth = run.memory.reserve(run.done, end);
        if (growth == Growth.AFTER_STEPS) {
            step();
            growth = run.memory.reserve(run.done, end);
        }
        if (growth != Growth.GRANTED) {
            throw new AssertionError("no blocks for " + end + " tokens: " + growth);
        }
        boolean inPrompt = run.done < run.promptTokens;
        List<StateWrite> writes = new ArrayList<>();
        for (int position : piece.onTheWay) {
            write(piece, position, CheckpointPoint.INTERVAL, writes);
        }
        if (piece.keep.isPresent() && inPrompt) {
            write(piece, end, piece.keep.get(), writes);
        } else if (piece.keep.isPresent() && !run.memory.checkpointLatest(end, piece.keep.get())) {
            requireNoMust(piece, end);
        }
        TokenSource source = inPrompt ? TokenSource.PROMPT : TokenSource.GENERATED;
        return new BatchEntry(run.id, run.tokens, run.done, piece.count, source, LogitRows.ALL, run.memory, writes);
    }

    private static void write(Piece piece, int position, CheckpointPoint point, List<StateWrite> writes) {
        piece.run.memory.checkpoint(position, point).ifPresentOrElse(writes::add, () -> requireNoMust(piece, position));
    }

    private static void requireNoMust(Piece piece, int position) {
        if (piece.must) {
            throw new AssertionError("no frame for the state behind " + position + " tokens");
        }
    }

    private void takeRows(Piece[] pieces, Logits logits) {
        int row = 0;
        for (Piece piece : pieces) {
            for (int i = 0; i < piece.count; i++, row++) {
                piece.run.rows[piece.run.done + i] = Arrays.copyOfRange(logits.values(), logits.offset(row), logits.offset(row + 1));
            }
        }
    }

    /// Blocks that so many tokens take, with those of everything else that is to be there at once.
    public static int blocks(int... tokens) {
        return Arrays.stream(tokens).map(CacheShape::blocksFor).sum();
    }
}
