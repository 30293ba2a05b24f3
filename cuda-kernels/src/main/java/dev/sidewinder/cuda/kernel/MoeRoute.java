package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;

/// Launches `moe_route.cu`: normalises the residual stream, chooses each token's experts and groups tokens by expert.
///
/// Up to 128 tokens one launch does it all; more take three. Up to 16 tokens the gate is spread over many blocks, from there
/// on a block takes 8 rows (2 where 8 do not fit into shared memory). A token's choice has the same bits in each form.
/// Asynchronous: buffers stay alive until the stream has passed.
public final class MoeRoute {

    private static final String FAMILY = "moe_route";
    private static final int THREADS = 256;
    private static final int WARPS = THREADS / 32;
    /// A block of eight rows and 32 experts goes through 172 KB of the gate, most of that time waiting for its products: as
    /// long as one row and eight experts for each block make no more than two blocks a multiprocessor, they are done sooner.
    private static final int FEW_TOKENS = 16;

    /// Rows of a block, and experts of a warp.
    private enum Form {
        ROW(1, 1), PAIR(2, 4), TILE(8, 4);

        private final int rows;
        private final int experts;

        Form(int rows, int experts) {
            this.rows = rows;
            this.experts = experts;
        }
    }

    public enum GateType { BF16, F32 }

    /// How scores become a choice.
    ///
    /// @param groups       routing groups, 1 = off
    /// @param activeGroups groups kept when there are several
    /// @param normalise    whether chosen weights are divided by their sum
    public record Choosing(int groups, int activeGroups, boolean normalise) {

        public Choosing {
            if (groups < 1 || activeGroups < 1 || activeGroups > groups) {
                throw new IllegalArgumentException(activeGroups + " of " + groups + " routing groups");
            }
        }
    }

    /// The router of one layer.
    ///
    /// @param norm     the layer's norm, `[hidden]`
    /// @param gate     `[experts, hidden]`
    /// @param bias     fp32 `[experts]`
    /// @param counters uint64 `[experts + 2]`, tokens ever routed to each expert, then the work that the busiest and that the
    ///                 mean place of the products had, as an [ExpertTiling] says; 0 for none
    public record Weights(RmsNorm.Weight norm, long gate, GateType gateType, long bias, long counters) {

        /// Counters behind those of experts.
        public static final int WORK_COUNTERS = 2;

        public Weights {
            if (gate == 0 || bias == 0) {
                throw new IllegalArgumentException("a router without " + (gate == 0 ? "a gate" : "a correction bias"));
            }
        }
    }

    /// The rows to route.
    ///
    /// @param x        bf16 `[tokens, hidden]`, receives the normalised rows
    /// @param residual fp32 `[tokens, hidden]`
    /// @param rowSlot  int32 `[slotted]`, -1 marks padding; 0 where there is none
    /// @param slotted  rows that may be padding, which stand in front
    public record Rows(long x, long residual, long rowSlot, int slotted, int tokens, int hidden) {

        private static final int VECTOR_BYTES = 16;

        /// Rows of which each may be padding, unless `rowSlot` is 0.
        public Rows(long x, long residual, long rowSlot, int tokens, int hidden) {
            this(x, residual, rowSlot, rowSlot == 0 ? 0 : tokens, tokens, hidden);
        }

        public Rows {
            if (tokens < 1 || hidden < 1) {
                throw new IllegalArgumentException("routing " + tokens + " rows of width " + hidden);
            }
            if (slotted < 0 || slotted > tokens || (slotted == 0) != (rowSlot == 0)) {
                throw new IllegalArgumentException("routing %d rows, of which %d have slots at 0x%x".formatted(tokens, slotted, rowSlot));
            }
            if (x == 0 || residual == 0 || (x | residual) % VECTOR_BYTES != 0) {
                throw new IllegalArgumentException("routing from 0x%x to 0x%x; both are multiples of %d"
                        .formatted(residual, x, VECTOR_BYTES));
            }
        }
    }

    private final Kernel[][] route = new Kernel[Form.values().length][GateType.values().length];
    private final Kernel count;
    private final Kernel place;
    private final int sharedBytes;

    public MoeRoute(Kernels kernels) {
        for (Form form : Form.values()) {
            for (GateType type : GateType.values()) {
                String name = "moe_route_" + form.name().toLowerCase() + "_" + type.name().toLowerCase();
                route[form.ordinal()][type.ordinal()] = kernels.get(FAMILY, name);
            }
        }
        count = kernels.get(FAMILY, "moe_count");
        place = kernels.get(FAMILY, "moe_place");
        int staticBytes = 0;
        for (Kernel[] byType : route) {
            for (Kernel kernel : byType) {
                staticBytes = Math.max(staticBytes, kernel.function().staticSharedBytes());
            }
        }
        sharedBytes = kernels.device().info().sharedBytesPerBlock() - staticBytes;
    }

    /// Makes fresh memory ready for maps.
    public void prepare(Stream stream, ExpertMaps maps) {
        stream.fill(maps.address(), (byte) 0, ExpertMaps.bytes(maps.shape(), maps.maxTokens()));
    }

    /// Routes rows and builds the maps, with tiles as the products will want them ([MoeExperts#tiling]).
    ///
    /// @throws IllegalArgumentException when the sizes do not fit each other or the device
    public void route(Stream stream, ExpertMaps maps, Rows rows, Weights weights, Choosing choosing, ExpertTiling tiling) {
        ExpertShape shape = maps.shape();
        maps.check(rows.tokens());
        if (shape.experts() % choosing.groups() != 0) {
            throw new IllegalArgumentException(shape.experts() + " experts in " + choosing.groups() + " routing groups");
        }
        Form form = form(rows, shape, choosing);
        boolean oneLaunch = rows.tokens() <= ExpertMaps.CHUNK_TOKENS;
        Arguments arguments = route[form.ordinal()][weights.gateType().ordinal()].arguments()
                .pointer(rows.x()).pointer(maps.choiceExpert()).pointer(maps.choiceWeight()).pointer(maps.logits())
                .pointer(maps.arrivals()).pointer(maps.unitFirst()).pointer(maps.slotSource()).pointer(maps.choiceSlot())
                .pointer(maps.tileUnit()).pointer(maps.tileFirst()).pointer(maps.tileCount()).pointer(weights.counters())
                .pointer(rows.residual()).pointer(weights.norm().address()).pointer(weights.gate()).pointer(weights.bias())
                .pointer(rows.rowSlot()).int32(weights.norm().type() == RmsNorm.WeightType.BF16 ? 1 : 0)
                .int32(rows.slotted()).int32(rows.tokens()).int32(rows.hidden()).int32(shape.experts()).int32(shape.active())
                .int32(choosing.groups()).int32(choosing.activeGroups()).int32(choosing.normalise() ? 1 : 0)
                .int32(shape.parts()).int32(oneLaunch ? tiling.tileTokens() : 0).float32(weights.norm().epsilon());
        tiling.arguments(arguments).launchOverlapping(stream, new LaunchShape(Math.ceilDiv(rows.tokens(), form.rows),
                Math.ceilDiv(shape.experts(), WARPS * form.experts), 1, THREADS, sharedBytes(form, rows.hidden(), shape, choosing)));
        if (!oneLaunch) {
            map(stream, maps, rows.tokens(), weights.counters(), tiling);
        }
    }

    /// Builds the maps from choices that are already in `maps`.
    ///
    /// @param counters as in [Weights]
    public void map(Stream stream, ExpertMaps maps, int tokens, long counters, ExpertTiling tiling) {
        ExpertShape shape = maps.shape();
        maps.check(tokens);
        LaunchShape chunks = LaunchShape.of(Math.ceilDiv(tokens, ExpertMaps.CHUNK_TOKENS), THREADS);
        Arguments counting = count.arguments()
                .pointer(maps.unitFirst()).pointer(maps.tileUnit()).pointer(maps.tileFirst()).pointer(maps.tileCount())
                .pointer(counters).pointer(maps.chunkCount()).pointer(maps.arrivals()).pointer(maps.choiceExpert())
                .int32(tokens).int32(shape.experts()).int32(shape.active()).int32(shape.parts())
                .int32(tiling.tileTokens());
        tiling.arguments(counting).launchOverlapping(stream, chunks);
        place.arguments()
                .pointer(maps.slotSource()).pointer(maps.choiceSlot()).pointer(maps.unitFirst()).pointer(maps.chunkCount())
                .pointer(maps.choiceExpert()).int32(tokens).int32(shape.experts()).int32(shape.active()).int32(shape.parts())
                .launchOverlapping(stream, chunks);
    }

    private Form form(Rows rows, ExpertShape shape, Choosing choosing) {
        if (rows.tokens() > FEW_TOKENS) {
            for (Form form : new Form[] {Form.TILE, Form.PAIR}) {
                if (sharedBytes(form, rows.hidden(), shape, choosing) <= sharedBytes) {
                    return form;
                }
            }
        }
        if (sharedBytes(Form.ROW, rows.hidden(), shape, choosing) > sharedBytes) {
            throw new IllegalArgumentException("routing rows of width " + rows.hidden() + "; this device has room for "
                    + sharedBytes / Float.BYTES + " values beside the maps");
        }
        return Form.ROW;
    }

    /// Rows of the block, later its scores and keys.
    private static int sharedBytes(Form form, int hidden, ExpertShape shape, Choosing choosing) {
        int rowValues = Math.max(Math.ceilDiv(hidden, 4) * 4, 2 * shape.experts() + choosing.groups());
        return Math.multiplyExact(Float.BYTES * form.rows, rowValues);
    }
}
