package dev.sidewinder.kvcache;

/// A suspended sequence on its way to the host area: it holds what has not been handed out for copying, state first, then blocks from the
/// last one on. In the host area it holds those places, besides whoever may resume it.
final class Departure implements Journey {

    private static final long NOT_YET = Long.MAX_VALUE;

    final int slot;
    final int state;
    /// Blocks and where they go; the first ones are there already.
    final int[] names;
    final int[] places;
    final int firstMissing;
    /// Where it stands in the tree; [PrefixNodes#NONE] when nowhere.
    int node;
    boolean stateLeft;
    /// Blocks still held.
    int held;
    private long copiedWith = NOT_YET;

    Departure(SequenceMemory memory, int state, int[] places, int firstMissing) {
        slot = memory.slot();
        node = memory.node();
        names = new int[memory.blockCount()];
        for (int i = 0; i < names.length; i++) {
            names[i] = memory.name(i);
        }
        this.state = state;
        this.places = places;
        this.firstMissing = firstMissing;
        held = names.length;
    }

    int missing() {
        return held - firstMissing;
    }

    boolean isDone() {
        return copiedWith != NOT_YET;
    }

    /// The step with which the last of it is copied; later than any as long as that is not known.
    long copiedWith() {
        return copiedWith;
    }

    void done(long step) {
        copiedWith = step;
    }
}
