package dev.sidewinder.engine;

import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.SampledTokens;
import dev.sidewinder.scheduler.Scheduler;
import dev.sidewinder.scheduler.Sequence;

/// Turns the logits of a step into tokens, one entry after the other. The engine thread's own; results stand until the
/// next step.
final class BatchSampler {

    private final Sampler sampler;
    private final SampledTokens tokens;
    private final Sample[] samples;

    BatchSampler(int vocabSize, int maxSequences) {
        this.sampler = new Sampler(vocabSize);
        this.tokens = new SampledTokens(maxSequences);
        this.samples = new Sample[maxSequences];
    }

    /// What came out of an entry of the latest batch; null when nothing was to be sampled.
    Sample of(int entry) {
        return samples[entry];
    }

    SampledTokens sample(Batch batch, Logits logits, Scheduler<Choice> scheduler) {
        tokens.clear();
        int row = 0;
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            Choice choice = scheduler.scheduled(i).owner();
            samples[i] = sample(entry, choice, logits, row);
            if (samples[i] instanceof Sample.Chosen chosen) {
                tokens.set(i, chosen.token());
                choice.sampling().generated(chosen.token());
            }
            row += entry.logitRows();
        }
        return tokens;
    }

    private Sample sample(BatchEntry entry, Choice choice, Logits logits, int firstRow) {
        if (entry.logits() == LogitRows.NONE) {
            return null;
        }
        if (entry.logits() == LogitRows.ALL && !scorePrompt(entry, choice, logits, firstRow)) {
            return Sample.NOT_FINITE;
        }
        Sequence<Choice> sequence = choice.sequence();
        if (entry.from() + entry.count() < sequence.length()) {
            return null;
        }
        int offset = logits.offset(firstRow + entry.logitRows() - 1);
        if (sequence.maxTokens() == 0) {
            return sampler.isFinite(logits.values(), offset) ? null : Sample.NOT_FINITE;
        }
        return sampler.sample(logits.values(), offset, choice.sampling(), sequence);
    }

    /// Fills in the log-probabilities of the prompt tokens that follow those of the piece.
    ///
    /// @return false when a row is not finite
    private boolean scorePrompt(BatchEntry entry, Choice choice, Logits logits, int firstRow) {
        Sequence<Choice> sequence = choice.sequence();
        TokenLogprobs[] scored = choice.request().promptLogprobs();
        int alternatives = choice.request().request().promptLogprobs();
        for (int i = 0; i < entry.count(); i++) {
            int offset = logits.offset(firstRow + i);
            if (!sampler.isFinite(logits.values(), offset)) {
                return false;
            }
            int position = entry.from() + i + 1;
            if (position < sequence.promptTokens()) {
                scored[position] = sampler.logprobs(logits.values(), offset, sequence.token(position), alternatives);
            }
        }
        return true;
    }
}
