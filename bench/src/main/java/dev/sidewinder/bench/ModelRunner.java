package dev.sidewinder.bench;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.MemoryAdmission;
import dev.sidewinder.kvcache.MemoryWish;
import dev.sidewinder.kvcache.SequenceMemory;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.ArrayList;
import java.util.List;

/// Times a backend alone: no engine, no sampling, tokens out of a hat.
final class ModelRunner {

    /// Steps of a warm-up, enough for each code path to have run.
    private static final int WARM_UP_STEPS = 8;

    private static final class Sequence {
        private final long id;
        private final int[] tokens;
        private final SequenceMemory memory;
        private int length;

        Sequence(long id, int capacity, SequenceMemory memory) {
            this.id = id;
            this.tokens = new int[capacity];
            this.memory = memory;
        }
    }

    private final Backend backend;
    private final int pieceTokens;
    private final FrameCache cache;
    private long step;
    private long newestSequence;
    private int repeat;

    /// @param pieceTokens tokens of a prompt in one step at most
    ModelRunner(Backend backend, int pieceTokens) {
        this.backend = backend;
        this.pieceTokens = pieceTokens;
        this.cache = FrameCache.plain(backend.memory().frames());
    }

    /// Runs a test as often as the plan says, after a warm-up.
    ///
    /// @return tokens per second
    Measurement measure(ModelTest test, Measurement.Plan plan) throws Exception {
        run(warmUp(test));
        return Measurement.of(test.toString(), "tok/s", plan, () -> run(test));
    }

    private static ModelTest warmUp(ModelTest test) {
        return switch (test) {
            case ModelTest.Prefill prefill -> prefill;
            case ModelTest.Decode decode ->
                new ModelTest.Decode(decode.sequences(), Math.min(decode.steps(), WARM_UP_STEPS), decode.depth());
        };
    }

    private double run(ModelTest test) {
        var tokens = new RandomTokens(backend.vocabSize(), repeat++);
        List<Sequence> sequences = admit(test);
        try {
            return switch (test) {
                case ModelTest.Prefill prefill -> prefill(sequences.getFirst(), prefill.tokens(), tokens);
                case ModelTest.Decode decode -> decode(sequences, decode, tokens);
            };
        } finally {
            sequences.forEach(sequence -> sequence.memory.close());
        }
    }

    private List<Sequence> admit(ModelTest test) {
        List<Sequence> sequences = new ArrayList<>();
        for (int i = 0; i < test.width(); i++) {
            sequences.add(new Sequence(++newestSequence, test.length(), switch (cache.admit(MemoryWish.alone(test.length()))) {
                case MemoryAdmission.Granted(SequenceMemory memory) -> memory;
                case MemoryAdmission answer -> throw new IllegalStateException("no room for sequence " + i + " of " + test + " in "
                        + backend.memory() + ": " + answer);
            }));
        }
        return sequences;
    }

    private double prefill(Sequence sequence, int count, RandomTokens tokens) {
        long began = System.nanoTime();
        prompt(sequence, count, tokens);
        return count / seconds(began);
    }

    private double decode(List<Sequence> sequences, ModelTest.Decode test, RandomTokens tokens) {
        for (Sequence sequence : sequences) {
            prompt(sequence, test.depth(), tokens);
        }
        long began = System.nanoTime();
        for (int i = 0; i < test.steps(); i++) {
            List<BatchEntry> entries = new ArrayList<>(sequences.size());
            for (Sequence sequence : sequences) {
                entries.add(entry(sequence, 1, TokenSource.GENERATED, LogitRows.LAST, tokens));
            }
            forward(entries);
        }
        return (double) test.steps() * sequences.size() / seconds(began);
    }

    private void prompt(Sequence sequence, int count, RandomTokens tokens) {
        for (int done = 0; done < count; done += pieceTokens) {
            int piece = Math.min(pieceTokens, count - done);
            LogitRows rows = done + piece == count ? LogitRows.LAST : LogitRows.NONE;
            forward(List.of(entry(sequence, piece, TokenSource.PROMPT, rows, tokens)));
        }
    }

    private static BatchEntry entry(Sequence sequence, int count, TokenSource source, LogitRows rows, RandomTokens tokens) {
        int from = sequence.length;
        for (int i = 0; i < count; i++) {
            sequence.tokens[sequence.length++] = tokens.next();
        }
        sequence.memory.reserve(from, sequence.length);
        return new BatchEntry(sequence.id, sequence.tokens, from, count, source, rows, sequence.memory);
    }

    /// @throws IllegalStateException when the result is not made of numbers: a broken kernel is never fast
    private void forward(List<BatchEntry> entries) {
        Logits logits = backend.forward(new Batch(++step, entries, cache.launch(step)));
        for (int row = 0; row < logits.rows(); row++) {
            // one value a row costs nothing; a damaged sum has damaged them all
            float value = logits.values()[logits.offset(row) + row % logits.vocabSize()];
            if (!Float.isFinite(value)) {
                throw new IllegalStateException("step " + step + " made the logit " + value);
            }
        }
        cache.stepCompleted(step);
    }

    private static double seconds(long began) {
        return (System.nanoTime() - began) * 1e-9;
    }
}
