package dev.sidewinder.engine;

import dev.sidewinder.cuda.kernel.SampleRows;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.Sequence;
import java.util.Arrays;

/// What the rows of logits of one step are for, and what came of them: a row behind a prompt token whose successor is
/// known scores that one, the last row of an entry chooses the sequence's next token. Rows of choices that have ended
/// meanwhile are passed over. The engine thread's own; results stand until the next step is begun.
final class BatchSampler implements RowSampler {

    /// What a device takes for a row of which only this matters: whether it is finite.
    private static final Sample NO_MATTER = new Sample.Chosen(0, null);

    private final Sampler sampler;
    private final SampledTokens tokens;
    private final Sample[] samples;

    private Batch batch;
    /// Of each entry; null = it is of a preparation, and has no rows.
    private final Choice[] choices;
    /// Entry of each row, and the position behind the row's token.
    private int[] entryOf;
    private int[] positionOf;

    BatchSampler(int vocabSize, int maxSequences) {
        this.sampler = new Sampler(vocabSize);
        this.tokens = new SampledTokens(maxSequences);
        this.samples = new Sample[maxSequences];
        this.choices = new Choice[maxSequences];
        this.entryOf = new int[maxSequences];
        this.positionOf = new int[maxSequences];
    }

    /// Turns to a step. All tokens of the steps before it must have been taken.
    void begin(Batch batch, Scheduler<Choice> scheduler) {
        this.batch = batch;
        int rows = 0;
        makeRoom(batch.logitRows());
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            choices[i] = scheduler.scheduled(batch, i).owner();
            int end = entry.from() + entry.count();
            for (int position = end - entry.logitRows() + 1; position <= end; position++) {
                entryOf[rows] = i;
                positionOf[rows++] = position;
            }
        }
    }

    private void makeRoom(int rows) {
        if (rows > entryOf.length) {
            entryOf = Arrays.copyOf(entryOf, rows);
            positionOf = Arrays.copyOf(positionOf, rows);
        }
    }

    @Override
    public boolean describe(int row, SampleRows rows, int at) {
        Choice choice = choices[entryOf[row]];
        Sequence<Choice> sequence = choice.sequence();
        if (choice.hasEnded()) {
            rows.begin(at).take(0);
        } else if (positionOf[row] < sequence.promptTokens()) {
            int alternatives = choice.request().request().promptLogprobs();
            if (alternatives > dev.sidewinder.cuda.kernel.Sample.MAX_ALTERNATIVES) {
                return false;
            }
            rows.begin(at).take(sequence.token(positionOf[row])).logprobs(alternatives);
        } else if (sequence.maxTokens() == 0) {
            rows.begin(at).take(0);
        } else {
            if (!choice.sampling().fits(rows)) {
                return false;
            }
            choice.sampling().describe(rows, at, sequence);
        }
        return true;
    }

    @Override
    public Sample sample(int row, float[] values, int offset) {
        Choice choice = choices[entryOf[row]];
        Sequence<Choice> sequence = choice.sequence();
        int position = positionOf[row];
        if (!choice.hasEnded() && position >= sequence.promptTokens() && sequence.maxTokens() > 0) {
            return sampler.sample(values, offset, choice.sampling(), sequence);
        }
        if (!sampler.isFinite(values, offset)) {
            return Sample.NOT_FINITE;
        }
        if (choice.hasEnded() || position >= sequence.promptTokens()) {
            return NO_MATTER;
        }
        int token = sequence.token(position);
        return new Sample.Chosen(token, sampler.logprobs(values, offset, token, choice.request().request().promptLogprobs()));
    }

    /// Takes in what came of the rows: tokens and scores of prompts. An entry that left no numbers behind has no token, whatever its
    /// rows of logits are.
    ///
    /// @param rows of the step
    /// @param step that has been awaited
    SampledTokens take(Sample[] rows, LaunchedStep step) {
        tokens.clear();
        int row = 0;
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            samples[i] = hasEnded(i) ? null : step.isFinite(i) ? take(entry, choices[i], rows, row) : Sample.PIECE_NOT_FINITE;
            if (samples[i] instanceof Sample.Chosen chosen) {
                tokens.set(i, chosen.token());
                choices[i].sampling().generated(chosen.token());
            } else if (samples[i] instanceof Sample.NotFinite) {
                tokens.spoil(i);
            }
            row += entry.logitRows();
        }
        return tokens;
    }

    private boolean hasEnded(int entry) {
        return choices[entry] != null && choices[entry].hasEnded();
    }

    private Sample take(BatchEntry entry, Choice choice, Sample[] rows, int firstRow) {
        if (entry.logits() == LogitRows.NONE) {
            return null;
        }
        if (entry.logits() == LogitRows.ALL && !takeScores(entry, choice, rows, firstRow)) {
            return Sample.NOT_FINITE;
        }
        Sequence<Choice> sequence = choice.sequence();
        if (entry.from() + entry.count() < sequence.length()) {
            return null;
        }
        Sample last = required(rows, firstRow + entry.logitRows() - 1, entry);
        return sequence.maxTokens() == 0 && last instanceof Sample.Chosen ? null : last;
    }

    /// Fills in the log-probabilities of the prompt tokens that follow those of the piece.
    ///
    /// @return false when a row is not finite
    private static boolean takeScores(BatchEntry entry, Choice choice, Sample[] rows, int firstRow) {
        TokenLogprobs[] scored = choice.request().promptLogprobs();
        for (int i = 0; i < entry.count(); i++) {
            int position = entry.from() + i + 1;
            switch (required(rows, firstRow + i, entry)) {
                case Sample.Chosen chosen -> {
                    if (position < choice.sequence().promptTokens()) {
                        scored[position] = chosen.logprobs();
                    }
                }
                case Sample.NotFinite _ -> {
                    return false;
                }
                case Sample.NothingAllowed _ -> {
                    // Of the row behind the prompt: the caller hears of it.
                }
            }
        }
        return true;
    }

    private static Sample required(Sample[] rows, int row, BatchEntry entry) {
        if (rows[row] == null) {
            throw new IllegalStateException("nothing came of row " + row + ", of sequence " + entry.sequence() + " from " + entry.from()
                    + ", which goes on");
        }
        return rows[row];
    }

    /// What came out of an entry; null when nothing was to be sampled, or its choice had ended.
    Sample of(int entry) {
        return samples[entry];
    }
}
