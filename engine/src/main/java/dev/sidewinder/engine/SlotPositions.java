package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.MemoryWork;
import dev.sidewinder.kvcache.StateCopy;
import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;

/// How many tokens the state in each slot has seen, in the host area too: a batch that does not go on where its slot stands
/// would give plausible nonsense, so it is refused.
///
/// For each batch: [#before], [#check] of every entry, [#advance] when it has run or will before any other.
public final class SlotPositions {

    /// In place of a sequence: a copy, or a state for anybody, with which any sequence may go on.
    private static final long COPY = -1;
    /// In place of a number of tokens: was written from outside, and nobody said.
    private static final int ANY = -1;

    private final int[] tokens;
    private final long[] sequences;
    private final int[] hostTokens;

    public SlotPositions(int slots) {
        this(slots, 0);
    }

    /// @param hostStates states in the host area
    public SlotPositions(int slots, int hostStates) {
        tokens = new int[slots];
        sequences = new long[slots];
        hostTokens = new int[hostStates];
    }

    /// Notes what is copied before a step.
    public void before(MemoryWork work) {
        for (HostCopy copy : work.ins()) {
            if (copy.kind() == HostCopy.Kind.STATE) {
                tokens[copy.device()] = hostTokens[copy.host()];
                sequences[copy.device()] = COPY;
            }
        }
        work.restores().forEach(this::copy);
        for (HostCopy copy : work.outs()) {
            if (copy.kind() == HostCopy.Kind.STATE) {
                hostTokens[copy.host()] = tokens[copy.device()];
            }
        }
    }

    private void copy(StateCopy copy) {
        tokens[copy.to()] = tokens[copy.from()];
        sequences[copy.to()] = COPY;
    }

    /// Notes that a state in the host area may have been written from outside: whoever goes on with it has to know after how
    /// many tokens it is.
    public void hostWritten(int place) {
        hostTokens[place] = ANY;
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
        for (StateWrite write : entry.writes()) {
            if (write.slot() >= cache.slots() || write.slot() == slot) {
                throw new IllegalArgumentException("sequence " + entry.sequence() + " in slot " + slot + ": its state after "
                        + write.position() + " tokens is to go to slot " + write.slot() + " of " + cache.slots()
                        + ", which has to be another one");
            }
        }
        if (entry.from() > 0 && !goesOn(entry, slot)) {
            throw new IllegalStateException("sequence " + entry.sequence() + " goes on at token " + entry.from()
                    + "; slot " + slot + " holds " + tokens[slot] + " tokens of "
                    + (sequences[slot] == COPY ? "a copied state" : "sequence " + sequences[slot]));
        }
        int blocks = CacheShape.blocksFor(end);
        if (entry.allocation().blockCount() < blocks) {
            throw new IllegalStateException("sequence " + entry.sequence() + " needs " + blocks + " KV blocks for " + end
                    + " tokens; it holds " + entry.allocation().blockCount());
        }
    }

    private boolean goesOn(BatchEntry entry, int slot) {
        return (tokens[slot] == entry.from() || tokens[slot] == ANY)
                && (sequences[slot] == entry.sequence() || sequences[slot] == COPY);
    }

    /// Notes that a batch has run, or will before any other, with the states that it writes, and what is copied after it.
    public void advance(Batch batch) {
        for (BatchEntry entry : batch.entries()) {
            tokens[entry.allocation().slot()] = entry.from() + entry.count();
            sequences[entry.allocation().slot()] = entry.isForAnybody() ? COPY : entry.sequence();
            for (StateWrite write : entry.writes()) {
                tokens[write.slot()] = write.position();
                sequences[write.slot()] = COPY;
            }
        }
        batch.memory().stores().forEach(this::copy);
    }
}
