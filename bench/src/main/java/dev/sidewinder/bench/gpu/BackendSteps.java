package dev.sidewinder.bench.gpu;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.kvcache.FrameCache;
import dev.sidewinder.kvcache.MemoryAdmission;
import dev.sidewinder.kvcache.MemoryWish;
import dev.sidewinder.kvcache.SequenceMemory;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.TokenSource;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.SplittableRandom;
import java.util.function.IntPredicate;

/// Runs sequences through a backend as the engine would, without one, and times the steps. One thread.
final class BackendSteps {

    /// A sequence that holds memory until it is closed.
    static final class Sequence implements AutoCloseable {
        private final long id;
        private final int[] tokens;
        private final SequenceMemory memory;
        private int length;

        private Sequence(long id, int[] tokens, SequenceMemory memory) {
            this.id = id;
            this.tokens = tokens;
            this.memory = memory;
        }

        /// Tokens that have run, or run in a step that is under way.
        int length() {
            return length;
        }

        /// The token at a position, once it is known.
        int token(int position) {
            return tokens[position];
        }

        /// The token that runs next: behind a step from which tokens were chosen, the one that came of it.
        int next() {
            return tokens[length];
        }

        @Override
        public void close() {
            memory.close();
        }
    }

    /// A launched step, and the position of the token that each sequence gets from it.
    private record Running(long number, LaunchedStep step, List<Sequence> sequences, int[] position) {}

    private final Backend backend;
    private final FrameCache cache;
    private final GreedyRows greedy;
    private long step;
    private long newest;

    BackendSteps(Backend backend) {
        this.backend = backend;
        this.cache = FrameCache.plain(backend.memory().frames());
        this.greedy = new GreedyRows(backend.vocabSize());
    }

    /// A sequence of random tokens: all experts get work.
    ///
    /// @param capacity tokens that it may come to hold
    Sequence admit(int capacity, long seed) {
        return admit(new SplittableRandom(seed).ints(capacity, 0, backend.vocabSize()).toArray());
    }

    /// A sequence of these tokens, those that are generated in their place.
    Sequence admit(int[] tokens) {
        return switch (cache.admit(MemoryWish.alone(tokens.length))) {
            case MemoryAdmission.Granted(SequenceMemory memory) -> new Sequence(++newest, tokens, memory);
            case MemoryAdmission answer -> throw new IllegalStateException("there is no room for a sequence of " + tokens.length
                    + " tokens in " + backend.memory() + ": " + answer);
        };
    }

    /// Runs the next `count` prompt tokens of each sequence, in one step.
    ///
    /// @param logits of each: [LogitRows#LAST] puts the most likely next token behind them, which needs room
    /// @return microseconds
    double prompt(List<Sequence> sequences, int count, LogitRows logits) {
        long began = System.nanoTime();
        Running running = launch(sequences, count, TokenSource.PROMPT, logits);
        running.step().sample(greedy);
        take(running);
        return (System.nanoTime() - began) / 1e3;
    }

    /// Runs the next token of each sequence as a generated one, up to the logits, from which nothing is chosen.
    ///
    /// @return microseconds
    double decode(List<Sequence> sequences) {
        List<BatchEntry> entries = new ArrayList<>();
        for (Sequence sequence : sequences) {
            entries.add(entry(sequence, 1, TokenSource.GENERATED, LogitRows.NONE));
        }
        return forward(entries);
    }

    /// The same with a piece of a prompt in the step, of which no logits are wanted.
    ///
    /// @return microseconds
    double mixed(List<Sequence> generating, Sequence prompt, int count) {
        List<BatchEntry> entries = new ArrayList<>();
        for (Sequence sequence : generating) {
            entries.add(entry(sequence, 1, TokenSource.GENERATED, LogitRows.NONE));
        }
        entries.add(entry(prompt, count, TokenSource.PROMPT, LogitRows.NONE));
        return forward(entries);
    }

    private double forward(List<BatchEntry> entries) {
        long began = System.nanoTime();
        backend.forward(new Batch(++step, entries, cache.launch(step)));
        cache.stepCompleted(step);
        return (System.nanoTime() - began) / 1e3;
    }

    /// Generates tokens greedily, each step launched behind the one before as soon as the backend allows it.
    ///
    /// @return microseconds from the end of each step to the end of the next
    double[] generate(List<Sequence> sequences, int steps) {
        return generate(sequences, steps, _ -> false);
    }

    /// The same, or until there is enough.
    ///
    /// @param steps  at most
    /// @param enough asked after each step, with the number of steps so far
    double[] generate(List<Sequence> sequences, int steps, IntPredicate enough) {
        double[] micros = new double[steps];
        int done = 0;
        long before = System.nanoTime();
        Running running = launch(sequences, 1, TokenSource.GENERATED, LogitRows.LAST);
        while (running != null) {
            boolean ahead = running.step().sample(greedy);
            Running next = ahead && done + 1 < steps ? launch(sequences, 1, TokenSource.UNREAD, LogitRows.LAST) : null;
            take(running);
            long now = System.nanoTime();
            micros[done++] = (now - before) / 1e3;
            before = now;
            boolean goesOn = done < steps && !enough.test(done);
            running = next != null || !goesOn ? next : launch(sequences, 1, TokenSource.GENERATED, LogitRows.LAST);
            if (running != null && !goesOn) {
                // one was ahead already
                running.step().sample(greedy);
                take(running);
                running = null;
            }
        }
        return Arrays.copyOf(micros, done);
    }

    private Running launch(List<Sequence> sequences, int count, TokenSource source, LogitRows logits) {
        List<BatchEntry> entries = new ArrayList<>();
        int[] position = new int[sequences.size()];
        for (int i = 0; i < position.length; i++) {
            entries.add(entry(sequences.get(i), count, source, logits));
            position[i] = sequences.get(i).length;
        }
        return new Running(++step, backend.launch(new Batch(step, entries, cache.launch(step))), sequences, position);
    }

    /// A row that is not finite is a failure: a broken kernel is never fast.
    private void take(Running running) {
        Sample[] samples = running.step().await();
        cache.stepCompleted(running.number());
        for (int i = 0; i < samples.length; i++) {
            if (!(samples[i] instanceof Sample.Chosen(int token, var _))) {
                throw new IllegalStateException("step " + running.number() + ", row " + i + ": " + samples[i] + " instead of a token");
            }
            running.sequences().get(i).tokens[running.position()[i]] = token;
        }
    }

    private BatchEntry entry(Sequence sequence, int count, TokenSource source, LogitRows logits) {
        int from = sequence.length;
        sequence.length += count;
        sequence.memory.reserve(from, sequence.length);
        return new BatchEntry(sequence.id, sequence.tokens, from, count, source, logits, sequence.memory);
    }
}
