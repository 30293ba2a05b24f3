package dev.sidewinder.engine.cuda;

/// Copies of blocks that lie next to each other, gathered into one: block `from + i` goes to `to + i`. Copies come in the
/// order of a sequence, in which neighbours rise or fall.
final class BlockRun {

    private int from;
    private int to;
    private int length;

    void clear() {
        length = 0;
    }

    /// Whether a copy begins the run or lies next to it, on the same end of both sides.
    boolean canTake(int nextFrom, int nextTo) {
        return length == 0 || nextFrom == from + length && nextTo == to + length || nextFrom == from - 1 && nextTo == to - 1;
    }

    /// Whether the run, with this copy in it, would read where it writes. Matters where both sides are the same memory.
    boolean wouldOverlap(int nextFrom, int nextTo) {
        return length > 0 && Math.abs(nextFrom - nextTo) <= length;
    }

    /// Takes in a copy that it [#canTake].
    void take(int nextFrom, int nextTo) {
        from = length == 0 ? nextFrom : Math.min(from, nextFrom);
        to = length == 0 ? nextTo : Math.min(to, nextTo);
        length++;
    }

    int from() {
        return from;
    }

    int to() {
        return to;
    }

    /// Blocks; 0 for nothing.
    int length() {
        return length;
    }
}
