package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.DeviceInfo;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.device.TensorView;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.Linear.Part;
import dev.sidewinder.cuda.kernel.Linear.Source;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// Launches `sm90_linear.cu`: the products of prompts, on the warpgroup instructions of H100 and H200.
///
/// Takes what [Linear] takes, in bf16 or in e4m3 with e4m3 activations, without an index of rows. Its order of sums is
/// another one than [Linear]'s: so **which of the two computes a product follows from [#takes] and from whether the rows
/// are tokens of a prompt, never from how many rows there are**, where a token's bits shall follow from its request alone
/// (docs/decisions/0017). Among these kernels a plan is chosen by speed: no plan but [Plan#chained] changes a bit, and a row's bits
/// do not depend on the other rows.
///
/// Asynchronous: buffers stay alive until the stream has passed. No workspace.
public final class Sm90Linear {

    private static final String FAMILY = "sm90_linear";
    private static final int MOST_PARTS = 3;
    private static final int THREADS = 384;
    static final int TILE_TOKENS = 128;
    private static final int BOX_TOKENS = 64;
    private static final int STEP_BYTES = 128;
    private static final int ALIGNMENT = 16;
    /// Columns of a tile, and what computing one of them costs: wider tiles read less for each product. Estimated from the
    /// bytes that a tile brings into shared memory, not measured.
    private static final int[] WIDTHS = {256, 128, 64};
    private static final int[] COSTS = {20, 23, 30};

    /// How a launch is cut.
    ///
    /// @param columns of a tile: 64, 128 or 256
    /// @param chained whether e4m3 sums stay in the tensor cores for all of k, with about 14 bits: quicker, and less exact.
    ///     For measurements, and for 256 columns only
    /// @param blocks  at most as many as there are tiles
    record Plan(int columns, boolean chained, int blocks) {

        String kernel(Numbers numbers) {
            return "sm90_linear_" + (chained ? "chained_" : "") + columns + "_" + suffix(numbers);
        }
    }

    private final Kernels kernels;
    private final Map<String, Kernel> byName = new HashMap<>();

    private Sm90Linear(Kernels kernels) {
        this.kernels = kernels;
        for (Numbers numbers : List.of(Numbers.BF16, Numbers.E4M3)) {
            for (int columns : WIDTHS) {
                load(new Plan(columns, false, 1).kernel(numbers));
            }
        }
        load(new Plan(256, true, 1).kernel(Numbers.E4M3));
    }

    private void load(String name) {
        byName.put(name, kernels.get(FAMILY, name));
    }

    /// The launcher, on a device that has these instructions: compute 9.0 and nothing later.
    public static Optional<Sm90Linear> on(Kernels kernels) {
        return kernels.device().info().hasWarpgroupProducts() ? Optional.of(new Sm90Linear(kernels)) : Optional.empty();
    }

    /// Whether a product is for these kernels. Depends on the matrices and on the form of the activations only.
    public boolean takes(Source source, List<Part> parts) {
        Linear.Weights first = parts.getFirst().weights();
        boolean numbers = first.numbers() == Numbers.BF16 || first.numbers() == Numbers.E4M3;
        return numbers && source.rows() == 0 && first.inputs() * first.numbers().weightBits() / 8 % ALIGNMENT == 0;
    }

    /// Computes a product; its columns are those of the parts one after the other.
    ///
    /// @throws IllegalArgumentException unless [#takes]
    public void multiply(Stream stream, Source source, List<Part> parts) {
        launch(stream, source, parts, plan(source.tokens(), parts, kernels.device().info()));
    }

    /// The widths of tiles that need the least time in whole rounds of the device.
    static Plan plan(int tokens, List<Part> parts, DeviceInfo device) {
        long least = Long.MAX_VALUE;
        Plan best = null;
        for (int i = 0; i < WIDTHS.length; i++) {
            long tiles = tiles(tokens, parts, WIDTHS[i]);
            long time = Math.ceilDiv(tiles, device.multiprocessors()) * WIDTHS[i] * COSTS[i];
            if (time < least) {
                least = time;
                best = new Plan(WIDTHS[i], false, (int) Math.min(tiles, device.multiprocessors()));
            }
        }
        return best;
    }

    static long tiles(int tokens, List<Part> parts, int columns) {
        long columnTiles = 0;
        for (Part part : parts) {
            columnTiles += Math.ceilDiv(part.weights().outputs(), columns);
        }
        return columnTiles * Math.ceilDiv(tokens, TILE_TOKENS);
    }

    void launch(Stream stream, Source source, List<Part> parts, Plan plan) {
        LinearPlan.Size size = Linear.size(source, parts);
        if (parts.size() > MOST_PARTS || !takes(source, parts)) {
            throw new IllegalArgumentException("a product in %s of width %d%s is not for the warpgroup kernels".formatted(
                    size.numbers(), size.inputs(), source.rows() == 0 ? "" : " with an index of rows"));
        }
        if (tiles(source.tokens(), parts, plan.columns()) > Integer.MAX_VALUE) {
            throw new IllegalArgumentException("a product of " + source.tokens() + " tokens with " + size.outputs() + " columns");
        }
        Part first = parts.getFirst();
        Part second = parts.size() > 1 ? parts.get(1) : first;
        Part third = parts.size() > 2 ? parts.get(2) : first;
        int rowBytes = size.inputs() * size.numbers().weightBits() / 8;
        byName.get(plan.kernel(size.numbers())).arguments()
                .pointer(first.output().address()).pointer(second.output().address()).pointer(third.output().address())
                .tensor(TensorView.of(source.address(), source.tokens(), rowBytes, BOX_TOKENS))
                .tensor(TensorView.of(source.low() == 0 ? source.address() : source.low(), source.tokens(), rowBytes, BOX_TOKENS))
                .tensor(weights(first, rowBytes, plan)).tensor(weights(second, rowBytes, plan)).tensor(weights(third, rowBytes, plan))
                .int64(first.output().stride()).int64(second.output().stride()).int64(third.output().stride())
                .int32(source.tokens())
                .int32(first.weights().outputs())
                .int32(parts.size() > 1 ? second.weights().outputs() : 0)
                .int32(parts.size() > 2 ? third.weights().outputs() : 0)
                .int32(rowBytes).int32(size.sourceParts())
                .int32(first.output().finish().ordinal()).int32(second.output().finish().ordinal())
                .int32(third.output().finish().ordinal())
                .float32(first.weights().scale() * source.scale()).float32(second.weights().scale() * source.scale())
                .float32(third.weights().scale() * source.scale())
                .float32(1 / Linear.outScale(parts))
                .int32(wide(first, 0) | wide(second, 1) | wide(third, 2))
                .launch(stream, new LaunchShape(plan.blocks(), 1, 1, THREADS, sharedBytes(plan.columns())));
    }

    private static TensorView weights(Part part, int rowBytes, Plan plan) {
        return TensorView.of(part.weights().address(), part.weights().outputs(), rowBytes, plan.columns());
    }

    /// Whether four values of an output can be written at once, as a bit.
    private static int wide(Part part, int bit) {
        return part.output().address() % (4L * part.output().finish().bytes()) == 0 && part.output().stride() % 4 == 0 ? 1 << bit : 0;
    }

    /// Stages, sums on their way out, and barriers: as `Ring` in `sm90_products.cuh` has them.
    static int sharedBytes(int columns) {
        int stages = columns == 256 ? 4 : columns == 128 ? 6 : 8;
        int staged = 8 * 16 * 40 * Float.BYTES;
        return stages * (TILE_TOKENS + columns) * STEP_BYTES + staged + 2 * stages * Long.BYTES;
    }

    private static String suffix(Numbers numbers) {
        return numbers == Numbers.BF16 ? "bf16" : "e4m3";
    }
}
