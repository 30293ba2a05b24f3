package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.DeviceInfo;

/// Which kernel of `linear.cu` computes a product, and how its work is spread.
///
/// No plan but [Plain] changes a bit of the result: the order of sums follows from [#segment] alone, which knows the matrix
/// and not the tokens. [Plain] is taken where the width of the matrix asks for it, again whatever the tokens are.
sealed interface LinearPlan {

    /// Weights stream from memory into registers, activations lie in shared memory.
    ///
    /// @param tokens 8 or 16: how many the kernel is compiled for
    /// @param blocks each takes an equal run of tiles of 16 columns
    record Skinny(int tokens, int blocks) implements LinearPlan {}

    /// Tiles of both operands go through shared memory.
    ///
    /// @param tokens 32, 64 or 128: those of a tile
    /// @param splits blocks that share the inputs of a tile
    record Tiled(int tokens, int splits) implements LinearPlan {}

    /// One warp for each value, for widths that are no multiple of what the other kernels load at once.
    record Plain() implements LinearPlan {}

    /// What a plan depends on.
    ///
    /// @param sourceParts 1, or 2 for activations of two bf16 values
    record Size(Linear.Numbers numbers, int tokens, int outputs, int inputs, int sourceParts) {}

    int MOST_SKINNY_TOKENS = 16;
    int SKINNY_WARPS = 8;
    int SKINNY_THREADS = 256;
    int PLAIN_WARPS = 4;
    int PLAIN_THREADS = 128;
    int FRAGMENT_ROWS = 16;
    /// Shared memory that the device keeps for itself, per block.
    int BLOCK_RESERVE = 1_024;
    /// Counters of the tiles that are split, at the head of the workspace.
    int COUNTERS = 1024;

    /// From this many outputs on, tiles of 16 columns alone occupy every warp of the largest device several times over; the
    /// inputs need not be shared out among warps, and are one segment.
    int OUTPUTS_OF_ONE_SEGMENT = 65_536;
    /// Bytes of a weight row in a segment: 16 rows are 8 to 16 KiB, which a warp has under way at once or twice.
    int SEGMENT_INPUTS = 512;
    int NVFP4_SEGMENT_INPUTS = 1_024;

    /// The inputs whose products are added in one chain, before the sums of such segments are added.
    static int segment(Linear.Numbers numbers, int outputs, int inputs) {
        int unit = stageInputs(numbers);
        int most = numbers == Linear.Numbers.NVFP4 ? NVFP4_SEGMENT_INPUTS : SEGMENT_INPUTS;
        int segments = outputs >= OUTPUTS_OF_ONE_SEGMENT ? 1 : Math.ceilDiv(inputs, most);
        return Math.ceilDiv(Math.ceilDiv(inputs, segments), unit) * unit;
    }

    static int segments(Linear.Numbers numbers, int outputs, int inputs) {
        return Math.ceilDiv(inputs, segment(numbers, outputs, inputs));
    }

    /// Inputs of a stage of the tiled kernels.
    private static int stageInputs(Linear.Numbers numbers) {
        return numbers == Linear.Numbers.NVFP4 ? 128 : 64;
    }

    /// Chooses by size. Up to 16 tokens go to [Skinny] if they fit in shared memory. Above, a tile has the fewest tokens
    /// that hold all of them, or 128; the inputs are shared out where tiles alone would leave multiprocessors idle and the
    /// workspace has room.
    static LinearPlan of(Size size, DeviceInfo device, long workspaceBytes) {
        if (size.inputs() % size.numbers().vector() != 0) {
            return new Plain();
        }
        int multiprocessors = device.multiprocessors();
        if (size.tokens() <= MOST_SKINNY_TOKENS) {
            int tokens = size.tokens() <= 8 ? 8 : 16;
            int shared = skinnySharedBytes(size, tokens);
            if (shared <= device.sharedBytesPerBlock()) {
                int together = 2 * (shared + BLOCK_RESERVE) <= device.sharedBytesPerBlock() ? 2 : 1;
                return new Skinny(tokens, skinnyBlocks(size, multiprocessors, together));
            }
        }
        int tokens = size.tokens() <= 32 ? 32 : size.tokens() <= 64 ? 64 : 128;
        while (tokens > 32 && sharedBytes(size, new Tiled(tokens, 1)) > device.sharedBytesPerBlock()) {
            tokens /= 2;
        }
        int tiles = tiles(size, tokens);
        int segments = segments(size.numbers(), size.outputs(), size.inputs());
        Tiled split = new Tiled(tokens, splits(tiles, segments, multiprocessors));
        boolean fits = tiles <= COUNTERS && workspaceBytes(size, split) <= workspaceBytes;
        return fits ? split : new Tiled(tokens, 1);
    }

    /// Into how many parts the inputs are cut where tiles alone leave multiprocessors idle: so that rounds of blocks, one for each
    /// multiprocessor, take the shortest time together. (Of 21 tiles on 132, 6 parts are one round of 126; 7 would be a round
    /// and 15 blocks more.) The fewest parts that do, because each of them leaves sums in memory.
    private static int splits(int tiles, int segments, int multiprocessors) {
        int best = 1;
        int bestRounds = 1;
        int most = tiles < multiprocessors ? Math.min(segments, Math.ceilDiv(multiprocessors, tiles) + 1) : 1;
        for (int splits = 2; splits <= most; splits++) {
            int rounds = Math.ceilDiv(splits * tiles, multiprocessors);
            if (rounds * best < bestRounds * splits) {
                best = splits;
                bestRounds = rounds;
            }
        }
        return best;
    }

    /// As many blocks as run at a time if there is work for all their warps, else one for each multiprocessor, else one for
    /// each tile: blocks that wait for others to end would leave the memory idle behind the first ones.
    ///
    /// @param together how many blocks fit a multiprocessor
    private static int skinnyBlocks(Size size, int multiprocessors, int together) {
        int tiles = Math.ceilDiv(size.outputs(), FRAGMENT_ROWS);
        int units = Math.multiplyExact(tiles, segments(size.numbers(), size.outputs(), size.inputs()));
        int busy = Math.min(together * multiprocessors, Math.ceilDiv(units, SKINNY_WARPS));
        return Math.min(tiles, Math.max(multiprocessors, busy));
    }

    /// Tiles of a [Tiled] launch.
    static int tiles(Size size, int tokens) {
        return Math.multiplyExact(Math.ceilDiv(size.outputs(), tileColumns(tokens)), Math.ceilDiv(size.tokens(), tokens));
    }

    private static int tileColumns(int tokens) {
        return tokens == 32 ? 64 : 128;
    }

    /// Shared memory of a block.
    static int sharedBytes(Size size, LinearPlan plan) {
        return switch (plan) {
            case Skinny skinny -> skinnySharedBytes(size, skinny.tokens());
            case Tiled tiled -> {
                int inputs = stageInputs(size.numbers());
                int weights = tileColumns(tiled.tokens()) * inputs * size.numbers().weightBits() / 8;
                int sources = size.sourceParts() * tiled.tokens() * inputs * size.numbers().sourceBits() / 8;
                yield stages(size.numbers(), tiled.tokens()) * (weights + sources);
            }
            case Plain() -> 0;
        };
    }

    private static int skinnySharedBytes(Size size, int tokens) {
        int step = 4 * size.numbers().vector();
        // The row of a token has 16-bit values whatever the source has, and ends 64 bytes beyond a multiple of 128.
        long row = (Math.ceilDiv(size.inputs(), step) * (long) step * Short.BYTES + 63) / 128 * 128 + 64;
        int sums = 2 * SKINNY_WARPS * tokens * (FRAGMENT_ROWS + 4) * Float.BYTES;
        return (int) Math.min(Integer.MAX_VALUE, sums + row * size.sourceParts() * size.tokens());
    }

    private static int stages(Linear.Numbers numbers, int tokens) {
        return switch (numbers) {
            case BF16 -> tokens == 32 ? 6 : 4;
            case E4M3 -> tokens == 32 ? 8 : 6;
            case E4M3_BF16 -> tokens == 32 ? 8 : tokens == 64 ? 6 : 4;
            case NVFP4 -> tokens == 128 ? 3 : 4;
        };
    }

    /// Device memory for counters and the sums of segments, none where nothing is split.
    static long workspaceBytes(Size size, Tiled plan) {
        if (plan.splits() == 1) {
            return 0;
        }
        long tileBytes = (long) tileColumns(plan.tokens()) * plan.tokens() * Float.BYTES;
        return COUNTERS * (long) Integer.BYTES
                + tileBytes * tiles(size, plan.tokens()) * segments(size.numbers(), size.outputs(), size.inputs());
    }

    /// The grid of a launch.
    static LaunchShape shape(Size size, LinearPlan plan) {
        int shared = sharedBytes(size, plan);
        return switch (plan) {
            case Skinny skinny -> new LaunchShape(skinny.blocks(), 1, 1, SKINNY_THREADS, shared);
            case Tiled tiled -> new LaunchShape(tiles(size, tiled.tokens()), tiled.splits(), 1,
                    tiled.tokens() == 32 ? 128 : 256, shared);
            case Plain() -> new LaunchShape(Math.ceilDiv(size.outputs(), PLAIN_WARPS), Math.min(size.tokens(), 65_535), 1,
                    PLAIN_THREADS, 0);
        };
    }
}
