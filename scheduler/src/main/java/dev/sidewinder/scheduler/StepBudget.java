package dev.sidewinder.scheduler;

import dev.sidewinder.kvcache.CacheShape;

/// How many prompt tokens a step may take: as many as fit beside the generated tokens into the time that may lie between two
/// tokens of a sequence, by what steps of late have cost ([StepCost]). Where nobody waits for a token, only the bound of the
/// step itself holds.
///
/// A block's worth of prompt goes into every step, however long that takes, or prompts would not go on beside many sequences that
/// generate; and what costs hardly more than that. But no step takes more than twice as many as have been measured in one, with five times as
/// many tokens that these attend to: nothing is known beyond.
///
/// **Where steps with no more than a block were too long**, several one after the other, the target is missed anyway, and prompts would come to a
/// standstill for it: a step may become a quarter longer than with a block then, so that a pass over the weights is paid for by more
/// tokens. Of these steps every eighth has a block only, to see whether the target can be kept again, and what a token costs.
final class StepBudget {

    /// Of the time between two tokens; the rest is for what the next step costs more than expected.
    private static final double USED_SHARE = 0.9;
    /// By so much may the first piece of a step be longer than a block of it.
    private static final double HARDLY_MORE = 1.1;
    /// By this share may prompts make a step longer where the target is missed anyway.
    private static final double STRETCH = 0.25;
    /// Steps with no more than a block that were too long, one after the other, until that holds.
    private static final int MISSED = 3;
    private static final int PROBE_STEPS = 8;
    /// Taken before anything has been measured.
    private static final int FIRST_TOKENS = 4 * CacheShape.BLOCK_TOKENS;
    private static final long FIRST_PAIRS = StepLoad.pairs(0, 16 * CacheShape.BLOCK_TOKENS);

    private final long tokenGapNanos;
    /// The first is the more careful one: what a pass costs is in the price of tokens.
    private final StepCost careful = new StepCost(false);
    private final StepCost withPasses = new StepCost(true);
    private int mostTokens = FIRST_TOKENS;
    private long mostPairs = FIRST_PAIRS;

    /// Steps of late with no more than a block that were too long, and steps that have been made longer for it.
    private int missed;
    private int stretched;

    private StepLoad load = StepLoad.NONE;
    private int room;

    /// @param tokenGapNanos between two tokens of a sequence at most; 0 = whatever a step takes
    StepBudget(long tokenGapNanos) {
        this.tokenGapNanos = tokenGapNanos;
    }

    /// A step begins with nothing in it.
    ///
    /// @param tokens that it may have at most
    void begin(int tokens) {
        load = StepLoad.NONE;
        room = tokens;
    }

    /// Whether another token fits.
    boolean hasRoom() {
        return room > 0;
    }

    void takeDecode(int from) {
        load = load.withDecode(from);
        room--;
    }

    void takePiece(int from, int count) {
        load = load.withPiece(from, count);
        room -= count;
    }

    /// What the step has to do so far.
    StepLoad load() {
        return load;
    }

    /// Tokens of a prompt that the step may take now: all that are left of it, or a multiple of 128. A prompt that goes on from some
    /// place in a block has a piece to the end of that block first, whatever there is room for, so that what is summed together does
    /// not depend on it. All decodes are in.
    ///
    /// @param from position of the first
    /// @param rest tokens of the prompt from there on, at least one
    int piece(int from, int rest) {
        int inBlock = from % CacheShape.BLOCK_TOKENS;
        if (inBlock > 0) {
            int piece = Math.min(rest, CacheShape.BLOCK_TOKENS - inBlock);
            return piece <= room ? piece : 0;
        }
        int most = Math.min(rest, room);
        boolean limited = tokenGapNanos > 0 && load.decodes() > 0;
        int fitting = limited ? fitting(from, most) : most;
        return fitting == rest ? rest : fitting - fitting % CacheShape.BLOCK_TOKENS;
    }

    /// Whole blocks, and what is left behind them, as long as they are within the time that is left.
    private int fitting(int from, int most) {
        StepCost cost = missed == MISSED ? withPasses : careful;
        double before = cost.nanos(load);
        double left = tokenGapNanos * USED_SHARE - before;
        int taken = 0;
        if (load.promptTokens() == 0) {
            taken = Math.min(most, CacheShape.BLOCK_TOKENS);
            double block = cost.pieceNanos(load, from, taken);
            if (missed == MISSED && ++stretched % PROBE_STEPS == 0) {
                return taken;
            }
            // Far into a prompt, reading what stands before may take most of the time: then more tokens cost hardly more.
            double allowed = missed == MISSED ? block + STRETCH * (before + block) : HARDLY_MORE * block;
            left = block > 0 ? Math.max(left, allowed) : left;
        }
        return within(left, cost, from, taken, most);
    }

    private int within(double nanos, StepCost cost, int from, int first, int most) {
        int taken = first;
        while (taken < most) {
            int then = Math.min(most, taken + CacheShape.BLOCK_TOKENS);
            boolean known = load.promptTokens() + then <= mostTokens && load.promptPairs() + StepLoad.pairs(from, then) <= mostPairs;
            if (!known || cost.pieceNanos(load, from, then) > nanos) {
                break;
            }
            taken = then;
        }
        return taken;
    }

    /// Tokens of a prompt that nobody waits for, in whole blocks: beside generated tokens only what is sure to fit into the time that is left;
    /// nothing where steps have been too long of late.
    ///
    /// @param from position of the first, on the grid
    /// @param rest tokens from there on
    int spare(int from, int rest) {
        int most = Math.min(rest, room);
        if (tokenGapNanos > 0 && load.decodes() > 0) {
            double left = tokenGapNanos * USED_SHARE - careful.nanos(load);
            most = missed > 0 ? 0 : within(left, careful, from, 0, most);
        }
        return most - most % CacheShape.BLOCK_TOKENS;
    }

    /// Takes in how long a step took. Without a target nobody asks.
    void learn(StepLoad measured, long nanos) {
        if (nanos <= 0 || tokenGapNanos == 0) {
            return;
        }
        careful.learn(measured, nanos);
        withPasses.learn(measured, nanos);
        if (measured.decodes() > 0 && measured.promptTokens() > 0 && measured.promptTokens() <= CacheShape.BLOCK_TOKENS) {
            missed = nanos > tokenGapNanos ? Math.min(MISSED, missed + 1) : 0;
        }
        mostTokens = Math.max(mostTokens, 2 * measured.promptTokens());
        mostPairs = Math.max(mostPairs, 5 * measured.promptPairs());
    }
}
