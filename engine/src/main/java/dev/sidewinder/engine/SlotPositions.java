package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;

/// How many tokens the state in each slot has seen: a batch that does not go on where its slot stands would give
/// plausible nonsense, so it is refused.
public final class SlotPositions {

    private final int[] tokens;
    private final long[] sequences;

    public SlotPositions(int slots) {
        tokens = new int[slots];
        sequences = new long[slots];
    }

    /// @throws IllegalArgumentException when the entry names what there is not
    /// @throws IllegalStateException    when it does not go on where its slot stands, or lacks blocks
    public void check(BatchEntry entry, CacheShape cache) {
        int slot = entry.allocation().slot();
        int end = entry.from() + entry.count();
        boolean known = entry.source() != TokenSource.UNREAD;
        if (entry.count() < 1 || entry.from() < 0 || known && end > entry.tokens().length) {
            throw new IllegalArgumentException("sequence " + entry.sequence() + ": tokens " + entry.from() + " to " + end
                    + " of " + entry.tokens().length);
        }
        if (slot < 0 || slot >= cache.slots()) {
            throw new IllegalArgumentException(
                    "sequence " + entry.sequence() + ": slot " + slot + " of " + cache.slots());
        }
        if (entry.from() > 0 && (tokens[slot] != entry.from() || sequences[slot] != entry.sequence())) {
            throw new IllegalStateException("sequence " + entry.sequence() + " goes on at token " + entry.from()
                    + "; slot " + slot + " holds " + tokens[slot] + " tokens of sequence " + sequences[slot]);
        }
        int blocks = CacheShape.blocksFor(end);
        if (entry.allocation().blockCount() < blocks) {
            throw new IllegalStateException("sequence " + entry.sequence() + " needs " + blocks + " KV blocks for " + end
                    + " tokens; it holds " + entry.allocation().blockCount());
        }
    }

    /// Notes that a batch has run, or will before any other.
    public void advance(Batch batch) {
        for (BatchEntry entry : batch.entries()) {
            tokens[entry.allocation().slot()] = entry.from() + entry.count();
            sequences[entry.allocation().slot()] = entry.sequence();
        }
    }
}
