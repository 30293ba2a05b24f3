package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.device.TensorView;
import dev.sidewinder.cuda.kernel.MoeExperts.Activations;
import dev.sidewinder.cuda.kernel.MoeExperts.Matrices;
import dev.sidewinder.cuda.kernel.MoeExperts.Weights;
import java.util.HashMap;
import java.util.Map;
import java.util.Optional;

/// Launches `sm90_moe_experts.cu`: the experts' products for prompts, on the warpgroup instructions of H100 and H200, as
/// [MoeExperts.Way#WARPGROUP]. What remains, adding up each token's rows, is [MoeExperts]' own.
///
/// A token's bits depend neither on the other tokens nor on their number; they are others than those of the other ways.
final class Sm90MoeExperts {

    private static final String FAMILY = "sm90_moe_experts";
    private static final int THREADS = 384;
    private static final int GATHER_THREADS = 256;
    private static final int GATHER_SLOTS = 8;
    private static final int TILE_TOKENS = 128;
    private static final int BOX_TOKENS = 64;
    private static final int ALIGNMENT = 16;
    /// Columns of a tile and what computing one costs, as in [Sm90Linear].
    private static final int[] WIDTHS = {256, 128};
    private static final int[] COSTS = {20, 23};

    private final Kernels kernels;
    private final Map<String, Kernel> byName = new HashMap<>();

    private Sm90MoeExperts(Kernels kernels) {
        this.kernels = kernels;
        for (ExpertFormat format : new ExpertFormat[] {ExpertFormat.BF16, ExpertFormat.E4M3}) {
            load("sm90_moe_gather_" + format.suffix());
            for (int columns : WIDTHS) {
                load("sm90_moe_up_" + columns + "_" + format.suffix());
                load("sm90_moe_down_" + columns + "_" + format.suffix());
            }
        }
    }

    private void load(String name) {
        byName.put(name, kernels.get(FAMILY, name));
    }

    /// The launcher, on a device that has these instructions.
    static Optional<Sm90MoeExperts> on(Kernels kernels) {
        return kernels.device().info().hasWarpgroupProducts() ? Optional.of(new Sm90MoeExperts(kernels)) : Optional.empty();
    }

    /// Whether these kernels take a layer: bf16, or e4m3 with e4m3 activations, and rows of whole 16 bytes. Knows nothing of
    /// tokens.
    static boolean takes(ExpertShape shape, ExpertFormat format) {
        int bytes = format.tokenBytes();
        boolean numbers = format == ExpertFormat.BF16 || format == ExpertFormat.E4M3;
        return numbers && shape.hidden() * bytes % ALIGNMENT == 0 && shape.width() * bytes % ALIGNMENT == 0
                && shape.sharedWidth() * bytes % ALIGNMENT == 0;
    }

    /// Leaves the rows of all slots in `io.rows()`. Everything has been checked by [MoeExperts].
    void run(Stream stream, ExpertMaps maps, int tokens, Weights weights, Activations io) {
        ExpertShape shape = maps.shape();
        String suffix = weights.format().suffix();
        int slots = Math.toIntExact(shape.slots(tokens));
        long gathered = io.rows();  // read before down writes there
        byName.get("sm90_moe_gather_" + suffix).arguments().pointer(gathered).pointer(io.x())
                .pointer(weights.up().inputScales()).pointer(maps.unitFirst()).pointer(maps.slotSource())
                .pointer(maps.choiceExpert()).int32(shape.hidden()).int32(shape.parts()).int32(shape.units()).int32(shape.active())
                .launch(stream, LaunchShape.of(Math.ceilDiv(slots, GATHER_SLOTS), GATHER_THREADS));
        int tiles = shape.tiles(tokens, TILE_TOKENS);
        int bytes = weights.format().tokenBytes();
        long hiddenBytes = (long) shape.hidden() * bytes;
        long widthBytes = (long) shape.width() * bytes;
        long sharedBytes = (long) shape.sharedWidth() * bytes;
        int upColumns = columns(tiles, shape.width());
        product(stream, "up_", suffix, tiles, upColumns, maps, io.middle(), weights.up(),
                shape.width(), weights.down().inputScales(), TensorView.of(gathered, slots, hiddenBytes, BOX_TOKENS),
                experts(weights.up(), shape.experts(), shape.width(), hiddenBytes, upColumns),
                shared(weights.up(), shape.sharedWidth(), hiddenBytes, upColumns));
        int downColumns = columns(tiles, shape.hidden());
        product(stream, "down_", suffix, tiles, downColumns, maps, io.rows(), weights.down(),
                shape.hidden(), 0, TensorView.of(io.middle(), slots, widthBytes, BOX_TOKENS),
                experts(weights.down(), shape.experts(), shape.hidden(), widthBytes, downColumns),
                shared(weights.down(), shape.hidden(), sharedBytes, downColumns));
    }

    /// How the products of so many tokens are shared out: as many blocks as may have work take the columns of tiles in turns.
    ExpertTiling tiling(MoeExperts.Way way, ExpertShape shape, int tokens) {
        int tiles = shape.tiles(tokens, TILE_TOKENS);
        return new ExpertTiling(way.tileTokens(), ExpertTiling.Items.TILES, share(tiles, shape.width(), shape.hidden()),
                share(tiles, shape.hidden(), shape.width()));
    }

    private ExpertTiling.Share share(int tiles, int rows, int inner) {
        int columns = columns(tiles, rows);
        int across = Math.ceilDiv(rows, columns);
        return new ExpertTiling.Share(across, blocks(tiles, across), Math.multiplyExact(columns, inner), false);
    }

    private int blocks(int tiles, int across) {
        return (int) Math.min((long) tiles * across, kernels.device().info().multiprocessors());
    }

    private void product(Stream stream, String direction, String suffix, int tiles, int columns, ExpertMaps maps, long out,
            Matrices matrices, int rows, long outScales, TensorView x, TensorView experts, Optional<TensorView> shared) {
        ExpertShape shape = maps.shape();
        int blocks = blocks(tiles, Math.ceilDiv(rows, columns));
        byName.get("sm90_moe_" + direction + columns + "_" + suffix).arguments().pointer(out).tensor(x).tensor(experts)
                .tensor(shared.orElse(experts)).pointer(matrices.weightScales()).pointer(matrices.inputScales()).pointer(outScales)
                .pointer(maps.unitFirst()).pointer(maps.tileUnit()).pointer(maps.tileFirst()).pointer(maps.tileCount())
                .int32(shape.hidden()).int32(shape.width()).int32(shape.sharedWidth()).int32(shape.parts())
                .launch(stream, new LaunchShape(blocks, 1, 1, THREADS, Sm90Linear.sharedBytes(columns)));
    }

    private static TensorView experts(Matrices matrices, int count, int rows, long rowBytes, int columns) {
        return new TensorView(matrices.codes(), rowBytes, rows, count, rowBytes, matrices.stride(), columns);
    }

    private static Optional<TensorView> shared(Matrices matrices, int rows, long rowBytes, int columns) {
        return matrices.sharedCodes() == 0 ? Optional.empty()
                : Optional.of(TensorView.of(matrices.sharedCodes(), rows, rowBytes, columns));
    }

    /// The width of tiles that needs the least time in whole rounds, if all tiles that may exist do.
    private int columns(int tiles, int rows) {
        int multiprocessors = kernels.device().info().multiprocessors();
        int best = 0;
        long least = Long.MAX_VALUE;
        for (int i = 0; i < WIDTHS.length; i++) {
            long rounds = Math.ceilDiv((long) tiles * Math.ceilDiv(rows, WIDTHS[i]), multiprocessors);
            long time = rounds * WIDTHS[i] * COSTS[i];
            if (time < least) {
                least = time;
                best = WIDTHS[i];
            }
        }
        return best;
    }
}
