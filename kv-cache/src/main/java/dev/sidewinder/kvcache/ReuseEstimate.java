package dev.sidewinder.kvcache;

/// What it is worth to keep the state at a checkpoint: **chance of use x cost to recompute / bytes**. The least worthy goes
/// first.
///
/// - **Chance** is a count of uses that halves every `halfLifeLookups` lookups of the whole index, so it estimates how often
///   a lookup will want this checkpoint, from how often and how lately lookups did. Before its first use a checkpoint has
///   [#firstChance]; once its conversation has left a deeper one, an eighth ([#SUPERSEDED]). Who would have resumed at a checkpoint that is gone resumes at the one before: its count is added there.
/// - **Cost** is the work to compute the tokens between the checkpoint before (or the start) and this one, which is all that
///   is lost with it. A token's work grows with its position, since it attends to all tokens before: it doubles at
///   `doubleWorkTokens`.
/// - **Bytes** are counted in blocks: the frame of the state and, where nothing else continues from here, the blocks since the
///   checkpoint before, which are of no use without it.
///
/// Source of the count: Lee et al. 2001, "LRFU: a spectrum of policies that subsumes the least recently used and least
/// frequently used policies".
///
/// @param halfLifeLookups  lookups after which a use counts half
/// @param doubleWorkTokens position of a token whose work is twice that of the first
public record ReuseEstimate(double halfLifeLookups, double doubleWorkTokens) {

    /// By which the chance of a turn's state falls when its conversation leaves a deeper one: it serves whoever edits the latest message
    /// then. In the simulator, where nobody edits, an eighth brings as much as nothing at all (docs/simulator.md); it is above nothing since
    /// people do edit.
    static final double SUPERSEDED = 0.125;

    /// 256: the best compromise of the simulator (docs/simulator.md). With 128 more states of chats survive where load is light, with
    /// 512 more of documents where it is too heavy. 65,536: in the published 30B shape attention costs as much as everything else for a
    /// token at that position (6 layers x 4 x 32 heads x 128 operations a position against 6.4 billion). Both are to be held
    /// against recorded traffic.
    public static final ReuseEstimate DEFAULT = new ReuseEstimate(256, 65_536);

    /// The parts of a worth, for whoever asks why something was kept or evicted.
    ///
    /// @param chance uses, older ones counting less
    /// @param work   to compute again what is lost, in tokens at the start of a sequence
    /// @param blocks what is freed, in KV blocks
    public record Worth(double chance, double work, int blocks) {

        /// Work saved a block.
        public double value() {
            return chance * work / blocks;
        }
    }

    public ReuseEstimate {
        // A half-life of at least one lookup: growth must not leave the range of a double in one go.
        if (!(halfLifeLookups >= 1) || !(doubleWorkTokens > 0)) {
            throw new IllegalArgumentException("the half-life is at least 1 lookup and the token of double work above 0, got " + halfLifeLookups
                    + " and " + doubleWorkTokens);
        }
    }

    /// By how much a new use outweighs one that is a lookup older.
    double growthPerLookup() {
        return Math.pow(2, 1 / halfLifeLookups);
    }

    /// Uses that a checkpoint is believed to have before its first: a system prompt serves every conversation, a turn is
    /// usually followed by one more, a long prompt is usually not cut off in the middle.
    static double firstChance(CheckpointPoint point) {
        return switch (point) {
            case SYSTEM, TURN_START, TURN_END -> 1;
            case BRANCH -> 0.5;
            case INTERVAL -> 0.25;
        };
    }

    /// Work to compute tokens `[from, to)`, in tokens at the start of a sequence.
    double work(long from, long to) {
        return to - from + ((double) to * to - (double) from * from) / (2 * doubleWorkTokens);
    }
}
