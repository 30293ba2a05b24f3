package dev.sidewinder.kvcache;

import dev.sidewinder.kvcache.ReuseEstimate.Worth;
import java.util.Arrays;

/// The states kept in the prefix tree, by slot: where each stands, why, how much it has been used, and which one a sequence
/// would fall back to without it (its base).
final class Checkpoints {

    static final int NONE = -1;

    private static final double RESCALE = 0x1p512;
    private static final CheckpointPoint[] POINTS = CheckpointPoint.values();

    private final ReuseEstimate estimate;
    private final int stateBlocks;

    private final int[] nodes;
    private final int[] depths;
    private final int[] bases;
    private final byte[] points;
    /// Uses, times `growth` at the tick of each: so a count that halves with time needs no touch as time goes by.
    private final double[] scaledCounts;
    /// Slots in use, in no order, and where each is in this list.
    private final int[] list;
    private final int[] places;
    private int size;

    /// What a use counts now: doubles with every half-life, and is brought down with all counts before it leaves the range
    /// of a double.
    private double growth = 1;

    /// @param slots       slots there may be
    /// @param stateBlocks what a state costs, in blocks
    Checkpoints(ReuseEstimate estimate, int slots, int stateBlocks) {
        this.estimate = estimate;
        this.stateBlocks = stateBlocks;
        nodes = new int[slots];
        depths = new int[slots];
        bases = new int[slots];
        points = new byte[slots];
        scaledCounts = new double[slots];
        list = new int[slots];
        places = new int[slots];
        Arrays.fill(places, NONE);
    }

    int size() {
        return size;
    }

    /// A slot in use.
    int get(int i) {
        return list[i];
    }

    boolean contains(int slot) {
        return places[slot] != NONE;
    }

    int node(int slot) {
        return nodes[slot];
    }

    int depth(int slot) {
        return depths[slot];
    }

    int base(int slot) {
        return bases[slot];
    }

    void setBase(int slot, int base) {
        bases[slot] = base;
    }

    CheckpointPoint point(int slot) {
        return POINTS[points[slot]];
    }

    /// A lookup has happened: all uses so far are older by one.
    void tick() {
        growth *= estimate.growthPerLookup();
        if (growth > RESCALE) {
            growth /= RESCALE;
            for (int i = 0; i < size; i++) {
                scaledCounts[list[i]] /= RESCALE;
            }
        }
    }

    void add(int slot, int node, int depth, int base, CheckpointPoint point) {
        nodes[slot] = node;
        depths[slot] = depth;
        bases[slot] = base;
        points[slot] = (byte) point.ordinal();
        scaledCounts[slot] = ReuseEstimate.firstChance(point) * growth;
        places[slot] = size;
        list[size++] = slot;
    }

    void use(int slot) {
        scaledCounts[slot] += growth;
    }

    /// Whoever used it will hardly do so again.
    void supersede(int slot) {
        scaledCounts[slot] *= ReuseEstimate.SUPERSEDED;
    }

    /// Takes a checkpoint out: its users fall back to its base, and so do those that stood on it.
    void remove(int slot) {
        int base = bases[slot];
        for (int i = 0; i < size; i++) {
            if (bases[list[i]] == slot) {
                bases[list[i]] = base;
            }
        }
        if (base != NONE) {
            scaledCounts[base] += scaledCounts[slot];
        }
        int last = list[--size];
        list[places[slot]] = last;
        places[last] = places[slot];
        places[slot] = NONE;
    }

    /// @param alone whether nothing in the tree goes on from here
    Worth worth(int slot, boolean alone) {
        return worth(scaledCounts[slot] / growth, depths[slot], bases[slot] == NONE ? 0 : depths[bases[slot]], alone);
    }

    /// What a new checkpoint would be worth.
    Worth worth(CheckpointPoint point, int depth, int baseDepth) {
        return worth(ReuseEstimate.firstChance(point), depth, baseDepth, true);
    }

    private Worth worth(double chance, int depth, int baseDepth, boolean alone) {
        double work = estimate.work((long) baseDepth * CacheShape.BLOCK_TOKENS, (long) depth * CacheShape.BLOCK_TOKENS);
        return new Worth(chance, work, stateBlocks + (alone ? depth - baseDepth : 0));
    }
}
