package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// Launches `moe_experts.cu`: the routed experts of a layer and its shared expert, over the maps of [MoeRoute].
///
/// All ways but [Way#PLAIN] and [Way#WARPGROUP] give the same bits for a token, whatever else is in the batch, so among them a
/// way is chosen for speed alone. Each of those two has bits of its own, which do not depend on the batch either; whether one
/// of them is taken must not depend on it where bits matter (docs/decisions/0017). Asynchronous: buffers stay alive until the
/// stream has passed.
public final class MoeExperts {

    private static final String FAMILY = "moe_experts";
    private static final int THREADS = 256;
    private static final int PLAIN_THREADS = 128;
    private static final int PLAIN_ROWS = 64;
    private static final int TILE_ROWS = 128;
    private static final int STREAM_ROWS = 16;
    private static final int VECTOR_BYTES = 16;
    /// Bytes of a token that a stage of the grouped product holds.
    private static final int STAGE_TOKEN_BYTES = 128;
    /// Mean slots of an expert up to which tiles of 16 tokens are taken, and those of 32. By arithmetic, not measured. A tile reads
    /// all weights of its expert, the second one of an expert out of the second-level cache. Slots spread about their mean:
    /// at 5 (107 tokens of the 30B model) hardly any expert has more than 16, at 12 one in ten has, and the shared expert
    /// has twice the tiles that it has with 32; the products of a tile of 32 still take less than half the time of its
    /// weights. Those of 128 take longer than that.
    private static final int TILE16_SLOTS = 5;
    private static final int TILE32_SLOTS = 48;

    /// How the products are cut. Maps are built for the tiles of one way.
    public enum Way {
        /// At most 8 tokens; weights go straight into matrix fragments, and nothing between down and residual.
        STREAM(8),
        TILE16(16), TILE32(32), TILE128(128),
        /// Any size, slowly.
        PLAIN(16),
        /// For prompts, on devices that have warpgroup instructions: `sm90_moe_experts.cu`.
        WARPGROUP(128);

        private final int tileTokens;

        Way(int tileTokens) {
            this.tileTokens = tileTokens;
        }

        /// Slots of a tile, as [MoeRoute] wants to know them.
        public int tileTokens() {
            return tileTokens;
        }
    }

    /// Up or down of all experts: matrices row-major, those of the routed experts one behind the other.
    ///
    /// @param codes             the routed experts; 16-byte aligned
    /// @param stride            bytes from expert to expert; a multiple of 16
    /// @param blockScales       NVFP4: e4m3, one for 16 values of k; else 0
    /// @param blockScaleStride  bytes from expert to expert
    /// @param sharedCodes       the shared expert, whole; 0 where there is none
    /// @param sharedBlockScales NVFP4: those of the shared expert
    /// @param weightScales      fp32 `[units]`, factor on each unit's product (pieces of the shared expert first); 0 for none
    /// @param inputScales       fp32 `[units]`, static scales of e4m3 activations; else 0
    public record Matrices(long codes, long stride, long blockScales, long blockScaleStride, long sharedCodes,
            long sharedBlockScales, long weightScales, long inputScales) {

        public static Matrices bf16(long codes, long stride, long sharedCodes) {
            return new Matrices(codes, stride, 0, 0, sharedCodes, 0, 0, 0);
        }

        private void check(String name, ExpertFormat format, ExpertShape shape) {
            boolean shared = shape.sharedWidth() > 0;
            if (codes == 0 || shared && sharedCodes == 0) {
                throw new IllegalArgumentException(name + " has no " + (codes == 0 ? "routed" : "shared") + " weights");
            }
            if ((codes | stride | sharedCodes) % VECTOR_BYTES != 0) {
                throw new IllegalArgumentException("%s weights at 0x%x, %d bytes apart, shared at 0x%x; all are multiples of %d"
                        .formatted(name, codes, stride, sharedCodes, VECTOR_BYTES));
            }
            if (format.hasBlockScales() && (blockScales == 0 || shared && sharedBlockScales == 0)) {
                throw new IllegalArgumentException(name + " has NVFP4 weights without block scales");
            }
            if (format.hasInputScales() && inputScales == 0) {
                throw new IllegalArgumentException(name + " has e4m3 activations without input scales");
            }
        }
    }

    /// The experts of a layer.
    public record Weights(ExpertFormat format, Matrices up, Matrices down) {}

    /// What the products read and write. At least one of the last three is given.
    ///
    /// @param x        bf16 `[tokens, hidden]`
    /// @param middle   scratch, [#middleBytes]
    /// @param rows     scratch, [#rowBytes]; [Way#STREAM] does not use it
    /// @param residual fp32 `[tokens, hidden]`, what is added to; 0 for none
    /// @param sum      fp32 `[tokens, hidden]`, receives the sum; 0 for none
    /// @param sumBf16  bf16 `[tokens, hidden]`, receives it rounded; 0 for none
    public record Activations(long x, long middle, long rows, long residual, long sum, long sumBf16) {

        public Activations {
            if (x == 0 || middle == 0 || (x | middle) % VECTOR_BYTES != 0) {
                throw new IllegalArgumentException("activations of experts at 0x%x, scratch at 0x%x; both are multiples of %d"
                        .formatted(x, middle, VECTOR_BYTES));
            }
            if (residual == 0 && sum == 0 && sumBf16 == 0) {
                throw new IllegalArgumentException("experts whose sum goes nowhere");
            }
        }
    }

    private record Pair(Kernel up, Kernel down) {}

    /// A kernel and the shared memory of its blocks.
    private record Blocks(Kernel kernel, int threads, int sharedBytes) {}

    private final Map<ExpertFormat, Map<Way, Pair>> kernels = new EnumMap<>(ExpertFormat.class);
    private final Optional<Sm90MoeExperts> warpgroups;
    private final Kernel combine;
    private final int sharedBytesPerBlock;
    private final int multiprocessors;
    /// Blocks that the device holds at a time.
    private final Map<Blocks, Integer> places = new HashMap<>();

    public MoeExperts(Kernels kernels) {
        for (ExpertFormat format : ExpertFormat.values()) {
            Map<Way, Pair> pairs = new EnumMap<>(Way.class);
            for (Way way : EnumSet.complementOf(EnumSet.of(Way.WARPGROUP))) {
                String suffix = way.name().toLowerCase(Locale.ROOT) + "_" + format.suffix();
                pairs.put(way, new Pair(kernels.get(FAMILY, "moe_experts_up_" + suffix),
                        kernels.get(FAMILY, "moe_experts_down_" + suffix)));
            }
            this.kernels.put(format, pairs);
        }
        warpgroups = Sm90MoeExperts.on(kernels);
        combine = kernels.get(FAMILY, "moe_combine");
        sharedBytesPerBlock = kernels.device().info().sharedBytesPerBlock();
        multiprocessors = kernels.device().info().multiprocessors();
    }

    /// Bytes of scratch between up and down.
    public static long middleBytes(ExpertShape shape, ExpertFormat format, int tokens) {
        return shape.slots(tokens) * shape.width() * format.tokenBytes();
    }

    /// Bytes of scratch between down and the sum over a token's ranks.
    public static long rowBytes(ExpertShape shape, int tokens) {
        return Float.BYTES * shape.slots(tokens) * shape.hidden();
    }

    /// The quickest way for so many tokens.
    public Way way(ExpertShape shape, ExpertFormat format, int tokens) {
        format.check(shape);
        if (!format.isBlocked(shape)) {
            return Way.PLAIN;
        }
        if (isStreamable(shape, format, tokens)) {
            return Way.STREAM;
        }
        long slots = (long) tokens * shape.active();
        if (slots <= (long) TILE16_SLOTS * shape.experts()) {
            return Way.TILE16;
        }
        return slots <= (long) TILE32_SLOTS * shape.experts() ? Way.TILE32 : Way.TILE128;
    }

    /// Whether [Way#WARPGROUP] takes a layer. Follows from the device and the layer, whatever the tokens are.
    public boolean takesWarpgroups(ExpertShape shape, ExpertFormat format) {
        return warpgroups.isPresent() && Sm90MoeExperts.takes(shape, format);
    }

    /// How a way cuts the products of so many tokens, padded ones included.
    public ExpertTiling tiling(Way way, ExpertShape shape, ExpertFormat format, int tokens) {
        Pair pair = kernels.get(format).get(way);
        int sharedBytes = way == Way.PLAIN || way == Way.WARPGROUP ? 0 : upSharedBytes(way, format, shape);
        return switch (way) {
            case STREAM -> new ExpertTiling(way.tileTokens(), ExpertTiling.Items.TILES,
                    share(shape.width(), TILE_ROWS, shape.hidden(), new Blocks(pair.up(), THREADS, sharedBytes), false),
                    share(shape.hidden(), STREAM_ROWS, shape.width(),
                            new Blocks(pair.down(), THREADS, Float.BYTES * STREAM_ROWS * tokens * shape.ranks()), true));
            case TILE16, TILE32, TILE128 -> new ExpertTiling(way.tileTokens(), ExpertTiling.Items.TILES,
                    share(shape.width(), TILE_ROWS, shape.hidden(), new Blocks(pair.up(), THREADS, sharedBytes), false),
                    share(shape.hidden(), TILE_ROWS, shape.width(), new Blocks(pair.down(), THREADS, sharedBytes), false));
            case PLAIN -> new ExpertTiling(way.tileTokens(), ExpertTiling.Items.SLOTS,
                    share(shape.width(), PLAIN_ROWS, shape.hidden(), new Blocks(pair.up(), PLAIN_THREADS, 0), false),
                    share(shape.hidden(), PLAIN_ROWS, shape.width(), new Blocks(pair.down(), PLAIN_THREADS, 0), false));
            case WARPGROUP -> warpgroups.orElseThrow().tiling(way, shape, tokens);
        };
    }

    private ExpertTiling.Share share(int rows, int blockRows, int inner, Blocks blocks, boolean takesAll) {
        int held = places.computeIfAbsent(blocks, each -> multiprocessors
                * each.kernel().function().blocksPerMultiprocessor(each.threads(), each.sharedBytes()));
        return new ExpertTiling.Share(Math.ceilDiv(rows, blockRows), held, Math.multiplyExact(blockRows, inner), takesAll);
    }

    private boolean isStreamable(ExpertShape shape, ExpertFormat format, int tokens) {
        return tokens <= Way.STREAM.tileTokens() && upSharedBytes(Way.STREAM, format, shape) <= sharedBytesPerBlock;
    }

    /// Runs the experts.
    ///
    /// @param maps   built for the tiles of `way`
    /// @param tokens as many as the maps were built for
    /// @param scale  factor on the sum of the routed experts; the shared expert is not scaled
    /// @throws IllegalArgumentException when the way does not take these sizes
    public void run(Stream stream, Way way, ExpertMaps maps, int tokens, Weights weights, Activations io, float scale) {
        ExpertShape shape = maps.shape();
        check(way, maps, tokens, weights, io);
        Pair pair = kernels.get(weights.format()).get(way);
        switch (way) {
            case STREAM -> stream(stream, pair, maps, tokens, weights, io, scale);
            case TILE16, TILE32, TILE128 -> grouped(stream, way, pair, maps, tokens, weights, io);
            case PLAIN -> plain(stream, pair, maps, tokens, weights, io);
            case WARPGROUP -> warpgroups.orElseThrow().run(stream, maps, tokens, weights, io);
        }
        if (way != Way.STREAM) {
            combine.arguments().pointer(io.residual()).pointer(io.sum()).pointer(io.sumBf16()).pointer(io.rows())
                    .pointer(maps.choiceSlot()).pointer(maps.choiceExpert()).pointer(maps.choiceWeight())
                    .int32(shape.hidden()).int32(shape.parts()).int32(shape.active()).float32(scale)
                    .launchOverlapping(stream, new LaunchShape(tokens, Math.ceilDiv(shape.hidden(), THREADS), 1, THREADS, 0));
        }
    }

    private void check(Way way, ExpertMaps maps, int tokens, Weights weights, Activations io) {
        ExpertShape shape = maps.shape();
        maps.check(tokens);
        weights.format().check(shape);
        weights.up().check("up", weights.format(), shape);
        weights.down().check("down", weights.format(), shape);
        boolean taken = switch (way) {
            case STREAM, TILE16, TILE32, TILE128 -> weights.format().isBlocked(shape);
            case PLAIN -> true;
            case WARPGROUP -> takesWarpgroups(shape, weights.format());
        };
        if (!taken) {
            throw new IllegalArgumentException("%s experts of %d x %d, shared width %d, are not for the way %s"
                    .formatted(weights.format(), shape.width(), shape.hidden(), shape.sharedWidth(), way));
        }
        if (way == Way.STREAM && !isStreamable(shape, weights.format(), tokens)) {
            throw new IllegalArgumentException(tokens + " tokens of width " + shape.hidden() + "; the way STREAM takes up to "
                    + Way.STREAM.tileTokens() + ", and they must fit into " + sharedBytesPerBlock + " bytes of shared memory");
        }
        if (way != Way.STREAM && (io.rows() == 0 || io.rows() % VECTOR_BYTES != 0)) {
            throw new IllegalArgumentException("the way " + way + " with rows at 0x" + Long.toHexString(io.rows()));
        }
    }

    private void stream(Stream stream, Pair pair, ExpertMaps maps, int tokens, Weights weights, Activations io, float scale) {
        ExpertShape shape = maps.shape();
        Arguments up = pair.up().arguments().pointer(io.middle()).pointer(io.x());
        // What the shared expert's down product will read is fetched while the router runs.
        long ahead = shape.sharedWidth() == 0 ? 0
                : weights.format().weightBytes((long) shape.hidden() * shape.sharedWidth()) / VECTOR_BYTES * VECTOR_BYTES;
        sizes(tiles(matrices(up, weights.up()).pointer(weights.down().inputScales()), maps), weights.up(), shape)
                .pointer(ahead == 0 ? 0 : weights.down().sharedCodes()).int64(ahead)
                .launchOverlapping(stream, new LaunchShape(Math.ceilDiv(shape.width(), TILE_ROWS),
                        shape.tiles(tokens, Way.STREAM.tileTokens()), 1, THREADS,
                        upSharedBytes(Way.STREAM, weights.format(), shape)));
        Arguments down = pair.down().arguments()
                .pointer(io.residual()).pointer(io.sum()).pointer(io.sumBf16()).pointer(io.middle());
        tiles(matrices(down, weights.down()), maps).pointer(maps.choiceExpert()).pointer(maps.choiceWeight());
        sizes(down, weights.down(), shape).int32(tokens).int32(shape.active()).float32(scale)
                .launchOverlapping(stream, LaunchShape.of(Math.ceilDiv(shape.hidden(), STREAM_ROWS), THREADS)
                        .withShared(Float.BYTES * STREAM_ROWS * tokens * shape.ranks()));
    }

    private void grouped(Stream stream, Way way, Pair pair, ExpertMaps maps, int tokens, Weights weights, Activations io) {
        ExpertShape shape = maps.shape();
        int tiles = shape.tiles(tokens, way.tileTokens());
        int sharedBytes = upSharedBytes(way, weights.format(), shape);
        Arguments up = pair.up().arguments().pointer(io.middle()).pointer(io.x());
        sizes(tiles(matrices(up, weights.up()).pointer(weights.down().inputScales()), maps), weights.up(), shape)
                .launchOverlapping(stream, new LaunchShape(Math.ceilDiv(shape.width(), TILE_ROWS), tiles, 1, THREADS, sharedBytes));
        Arguments down = pair.down().arguments().pointer(io.rows()).pointer(io.middle());
        sizes(tiles(matrices(down, weights.down()), maps), weights.down(), shape)
                .launchOverlapping(stream, new LaunchShape(Math.ceilDiv(shape.hidden(), TILE_ROWS), tiles, 1, THREADS, sharedBytes));
    }

    private void plain(Stream stream, Pair pair, ExpertMaps maps, int tokens, Weights weights, Activations io) {
        ExpertShape shape = maps.shape();
        int slots = Math.toIntExact(shape.slots(tokens));
        Arguments up = pair.up().arguments().pointer(io.middle()).pointer(io.x());
        tiles(matrices(up, weights.up()).pointer(weights.down().inputScales()), maps).pointer(maps.choiceExpert());
        sizes(up, weights.up(), shape).int32(shape.units()).int32(shape.active())
                .launchOverlapping(stream, new LaunchShape(slots, Math.ceilDiv(shape.width(), PLAIN_ROWS), 1, PLAIN_THREADS, 0));
        Arguments down = pair.down().arguments().pointer(io.rows()).pointer(io.middle());
        tiles(matrices(down, weights.down()), maps).pointer(maps.choiceExpert());
        sizes(down, weights.down(), shape).int32(shape.units()).int32(shape.active())
                .launchOverlapping(stream, new LaunchShape(slots, Math.ceilDiv(shape.hidden(), PLAIN_ROWS), 1, PLAIN_THREADS, 0));
    }

    private static Arguments matrices(Arguments arguments, Matrices matrices) {
        return arguments.pointer(matrices.codes()).pointer(matrices.blockScales()).pointer(matrices.sharedCodes())
                .pointer(matrices.sharedBlockScales()).pointer(matrices.weightScales()).pointer(matrices.inputScales());
    }

    private static Arguments tiles(Arguments arguments, ExpertMaps maps) {
        return arguments.pointer(maps.unitFirst()).pointer(maps.tileUnit()).pointer(maps.tileFirst())
                .pointer(maps.tileCount()).pointer(maps.slotSource());
    }

    private static Arguments sizes(Arguments arguments, Matrices matrices, ExpertShape shape) {
        return arguments.int64(matrices.stride()).int64(matrices.blockScaleStride()).int32(shape.hidden())
                .int32(shape.width()).int32(shape.sharedWidth()).int32(shape.parts());
    }

    /// Shared memory of a block: the tokens (stream), or the ring of stages (tiles). As in moe_experts.cu.
    private static int upSharedBytes(Way way, ExpertFormat format, ExpertShape shape) {
        boolean wideTokens = format == ExpertFormat.E4M3_BF16 || format == ExpertFormat.NVFP4;
        if (way == Way.STREAM) {
            int bytes = Math.multiplyExact(shape.hidden(), format.tokenBytes());
            return Way.STREAM.tileTokens() * (Math.ceilDiv(bytes, 128) * 128 + (wideTokens ? 16 : 64));
        }
        int stages = way == Way.TILE128 ? 3 : 4;
        int rowBytes = format == ExpertFormat.NVFP4 ? 32 : wideTokens ? 64 : 128;
        return stages * (TILE_ROWS * rowBytes + way.tileTokens() * STAGE_TOKEN_BYTES);
    }
}
