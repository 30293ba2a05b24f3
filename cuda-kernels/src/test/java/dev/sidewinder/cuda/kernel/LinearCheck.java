package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.kernel.Linear.Finish;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// Computes a product on a device and holds it against sums in double precision. Runs on any device, the emulator included.
///
/// Around and behind every operand lies NaN, and between the rows of outputs lies a pattern that must stay.
public final class LinearCheck {

    /// Of the sum of the products' magnitudes. Sums of a few thousand products in fp32 stay within 2^-20 of it; matrix
    /// instructions may cut off where addition would round.
    static final double SUM_TOLERANCE = 0x1p-18;
    /// On a GPU, for e4m3 operands of warpgroup products: of the terms of an instruction and the sum before it, the tensor core
    /// drops what lies 13 binary places below the largest one. A step adds four times 33 such terms; the largest may be
    /// an eighth of the step's magnitudes.
    static final double TENSOR_E4M3_TOLERANCE = 0x1p-10;
    /// Half a unit in the last place, and what the sum's own error may add by falling over a tie.
    static final double BF16_TOLERANCE = 0x1p-8;
    static final double E4M3_TOLERANCE = 0x1p-4;
    static final double E4M3_SUBNORMAL_STEP = 0x1p-9;
    static final float OUT_SCALE = 3.5f;
    private static final double E4M3_MAX = 448;

    /// Above this many products only a sample of the values is compared.
    private static final long MOST_PRODUCTS = 1L << 28;
    private static final int SAMPLES = 20_000;
    private static final byte PATTERN = (byte) 0xff;
    private static final int GUARD_BYTES = 256;
    /// Elements between the end of an output row and the next one, at least.
    private static final int ROW_GAP = 5;

    private final Device device;
    private final Kernels kernels;
    private final long workspaceBytes;

    public LinearCheck(Device device, Kernels kernels, long workspaceBytes) {
        this.device = device;
        this.kernels = kernels;
        this.workspaceBytes = workspaceBytes;
    }

    /// What came out, and what the outputs held before.
    record Result(List<byte[]> before, List<byte[]> after) {}

    /// Computes a product in some way.
    interface Way {
        void multiply(Linear linear, Linear.Source source, List<Linear.Part> parts);
    }

    /// By a plan of [Linear], its own where that is null.
    private Way by(LinearPlan plan) {
        return plan == null
                ? (linear, source, parts) -> linear.multiply(device.stream(), source, parts)
                : (linear, source, parts) -> linear.launch(device.stream(), source, parts, Linear.size(source, parts), plan);
    }

    /// By the kernels for prompts, which must take it; with their own plan where that is null.
    Way by(Sm90Linear prompts, Sm90Linear.Plan plan) {
        return (_, source, parts) -> {
            if (!prompts.takes(source, parts)) {
                throw new AssertionError("not for the warpgroup kernels: " + source + " with " + parts);
            }
            if (plan == null) {
                prompts.multiply(device.stream(), source, parts);
            } else {
                prompts.launch(device.stream(), source, parts, plan);
            }
        };
    }

    /// The same for the kernels for prompts, on any device that has them.
    ///
    /// @param tolerance [#SUM_TOLERANCE], or [#TENSOR_E4M3_TOLERANCE] for e4m3 on a GPU
    public void verifyPrompt(LinearCase shape, double tolerance) {
        verify(shape, by(Sm90Linear.on(kernels).orElseThrow(), null), "the kernels for prompts", tolerance);
    }

    void verify(LinearCase shape, Way way, Object name, double tolerance) {
        LinearData data = new LinearData(shape);
        compare(data, runBy(way, data), name, tolerance);
    }

    /// Runs the product by the launcher's plan and compares.
    ///
    /// @throws AssertionError naming the worst value
    public void verify(LinearCase shape) {
        verify(shape, null);
    }

    /// @param plan null for the launcher's own
    void verify(LinearCase shape, LinearPlan plan) {
        LinearData data = new LinearData(shape);
        compare(data, run(data, plan), plan);
    }

    Result run(LinearData data, LinearPlan plan) {
        return runBy(by(plan), data);
    }

    Result runBy(Way way, LinearData data) {
        try (Setting setting = new Setting(data)) {
            setting.launch(way);
            return setting.result();
        }
    }

    /// Captures the product of the first `tokens` tokens, and replays it for one run of tokens after the other.
    ///
    /// @throws AssertionError naming the worst value
    void verifyReplays(LinearData data, int tokens, LinearPlan plan) {
        LinearData first = data.tokens(0, tokens);
        try (Setting setting = new Setting(first);
                CudaGraph graph = device.stream().capture(() -> setting.launch(by(plan)))) {
            for (int from = 0; from + tokens <= data.shape.tokens(); from += tokens) {
                LinearData some = data.tokens(from, tokens);
                setting.replaceSource(some);
                graph.launch(device.stream());
                compare(some, setting.result(), plan);
            }
        }
    }

    /// A product's operands and outputs on the device.
    private final class Setting implements AutoCloseable {

        private final Arena arena = Arena.ofConfined();
        private final List<DeviceBuffer> buffers = new ArrayList<>();
        private final List<byte[]> before = new ArrayList<>();
        private final List<Linear.Part> parts = new ArrayList<>();
        private final LinearCase shape;
        private final int firstGuarded;
        private final Linear.Source source;
        private final long workspace;
        private final Linear linear;

        Setting(LinearData data) {
            shape = data.shape;
            firstGuarded = (int) (shape.seed() & 1);
            long weights = upload(data.weights);
            long blockScales = data.blockScales.length == 0 ? 0 : upload(data.blockScales);
            source = new Linear.Source(upload(data.x), shape.low() ? upload(data.low) : 0,
                    shape.scattered() ? upload(bytes(data.rows)) : 0, shape.tokens(), data.sourceScale);
            workspace = workspaceBytes == 0 ? 0 : upload(filled(Math.toIntExact(workspaceBytes)));
            linear = new Linear(kernels, device.stream(), workspace, workspaceBytes);
            Linear.Weights whole = new Linear.Weights(shape.numbers(), weights, blockScales, shape.outputs(), shape.inputs(),
                    data.scales[0]);
            int column = 0;
            for (int i = 0; i < shape.columns().size(); i++) {
                addPart(whole.columns(column, shape.columns().get(i)), data.scales[i], shape.finishes().get(i));
                column += shape.columns().get(i);
            }
        }

        private void addPart(Linear.Weights rows, float scale, Finish finish) {
            before.add(outputBefore(shape, parts.size()));
            Linear.Weights weights = new Linear.Weights(rows.numbers(), rows.address(), rows.blockScales(), rows.outputs(),
                    rows.inputs(), scale);
            parts.add(new Linear.Part(weights, new Linear.Output(upload(before.getLast()), stride(shape, parts.size()), finish,
                    finish == Finish.SQUARED_RELU_E4M3 ? OUT_SCALE : 1)));
        }

        void launch(Way way) {
            way.multiply(linear, source, parts);
        }

        void replaceSource(LinearData data) {
            copyTo(source.address(), data.x);
        }

        Result result() {
            List<byte[]> after = new ArrayList<>();
            for (int i = 0; i < parts.size(); i++) {
                after.add(download(parts.get(i).output().address(), before.get(i).length));
            }
            checkCounters();
            return new Result(before, after);
        }

        /// Every launch leaves the counters as it found them.
        private void checkCounters() {
            if (workspaceBytes >= LinearPlan.COUNTERS * Integer.BYTES) {
                for (byte counter : download(workspace, LinearPlan.COUNTERS * Integer.BYTES)) {
                    if (counter != 0) {
                        throw new AssertionError("a counter of the workspace is not 0 after the launch of " + shape);
                    }
                }
            }
        }

        /// Puts bytes on the device, with NaN in front of them; and behind, for every other operand, so that what is read
        /// there by mistake either shows in the result or lies outside the allocation.
        private long upload(byte[] bytes) {
            int behind = buffers.size() % 2 == firstGuarded ? GUARD_BYTES : 0;
            DeviceBuffer buffer = device.allocate((long) GUARD_BYTES + bytes.length + behind);
            buffers.add(buffer);
            device.stream().fill(buffer.address(), PATTERN, buffer.bytes());
            copyTo(buffer.at(GUARD_BYTES), bytes);
            return buffer.at(GUARD_BYTES);
        }

        private void copyTo(long address, byte[] bytes) {
            MemorySegment host = arena.allocate(bytes.length);
            host.copyFrom(MemorySegment.ofArray(bytes));
            device.stream().copyToDevice(address, host, bytes.length);
        }

        private byte[] download(long address, int count) {
            MemorySegment target = arena.allocate(count);
            device.stream().copyToHost(target, address, count);
            device.stream().synchronize();
            return target.toArray(ValueLayout.JAVA_BYTE);
        }

        @Override
        public void close() {
            buffers.forEach(DeviceBuffer::close);
            arena.close();
        }
    }

    /// Each part's output: the pattern, or random fp32 values where something is to be added to.
    private static byte[] outputBefore(LinearCase shape, int part) {
        int bytes = Math.multiplyExact(shape.tokens() * stride(shape, part), elementBytes(shape.finishes().get(part)));
        byte[] output = filled(bytes);
        if (shape.finishes().get(part) == Finish.ADD_F32) {
            Random random = new Random(shape.seed() + part);
            MemorySegment floats = MemorySegment.ofArray(output);
            for (int i = 0; i < bytes / 4; i++) {
                floats.set(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * i, (float) random.nextGaussian());
            }
        }
        return output;
    }

    /// From row to row of an output: with even seeds such that kernels may write several values at once.
    private static int stride(LinearCase shape, int part) {
        int stride = shape.columns().get(part) + ROW_GAP;
        return shape.seed() % 2 == 0 ? Math.ceilDiv(stride, 8) * 8 : stride;
    }

    private static int elementBytes(Finish finish) {
        return switch (finish) {
            case STORE_F32, ADD_F32 -> 4;
            case STORE_BF16, SQUARED_RELU_BF16 -> 2;
            case SQUARED_RELU_E4M3 -> 1;
        };
    }

    // ---- comparison -----------------------------------------------------------------------------------------------------

    private static final class Worst {
        double excess = 1;
        String text = "";
        double squaredError;
        double squaredValue;
    }

    /// @throws AssertionError naming the worst value
    void compare(LinearData data, Result result, LinearPlan plan) {
        compare(data, result, plan == null ? "the launcher's plan" : plan, SUM_TOLERANCE);
    }

    private void compare(LinearData data, Result result, Object way, double sumTolerance) {
        LinearCase shape = data.shape;
        Worst worst = new Worst();
        long products = (long) shape.tokens() * shape.outputs() * shape.inputs();
        if (products <= MOST_PRODUCTS) {
            for (int token = 0; token < shape.tokens(); token++) {
                for (int column = 0; column < shape.outputs(); column++) {
                    compare(data, result, token, column, sumTolerance, worst);
                }
            }
        } else {
            Random random = new Random(shape.seed() + 7);
            for (int i = 0; i < SAMPLES; i++) {
                compare(data, result, random.nextInt(shape.tokens()), random.nextInt(shape.outputs()), sumTolerance, worst);
            }
        }
        if (!worst.text.isEmpty()) {
            throw new AssertionError("%s by %s: %s; relative error of the whole tensor %.2e".formatted(shape,
                    way, worst.text, Math.sqrt(worst.squaredError / worst.squaredValue)));
        }
        checkUntouched(data, result);
    }

    private static void compare(LinearData data, Result result, int token, int column, double sumTolerance,
            Worst worst) {
        LinearCase shape = data.shape;
        int row = data.rows[token];
        if (row < 0) {
            return;
        }
        double sum = 0;
        double magnitude = 0;
        for (int k = 0; k < shape.inputs(); k++) {
            double product = data.weight(column, k) * data.source(row, k);
            sum += product;
            magnitude += Math.abs(product);
        }
        int part = 0;
        int first = 0;
        while (column >= first + shape.columns().get(part)) {
            first += shape.columns().get(part++);
        }
        Finish finish = shape.finishes().get(part);
        int at = token * stride(shape, part) + column - first;
        double scale = data.scales[part] * data.sourceScale;
        double value = sum * scale;
        // Below the smallest normal float values are multiples of 2^-149.
        double tolerance = sumTolerance * magnitude * scale + Float.MIN_VALUE;
        double positive = Math.max(0, value);
        double squareTolerance = 2 * positive * tolerance + tolerance * tolerance;
        double expected = switch (finish) {
            case STORE_F32, STORE_BF16 -> value;
            case ADD_F32 -> value + element(result.before().get(part), finish, at);
            case SQUARED_RELU_BF16 -> positive * positive;
            case SQUARED_RELU_E4M3 -> Math.min(E4M3_MAX, positive * positive / OUT_SCALE);
        };
        double allowed = switch (finish) {
            case STORE_F32 -> tolerance;
            case ADD_F32 -> tolerance + 0x1p-23 * Math.abs(expected);
            case STORE_BF16 -> tolerance + BF16_TOLERANCE * Math.abs(expected);
            case SQUARED_RELU_BF16 -> squareTolerance + BF16_TOLERANCE * expected;
            case SQUARED_RELU_E4M3 -> squareTolerance / OUT_SCALE + E4M3_TOLERANCE * expected + E4M3_SUBNORMAL_STEP / 2;
        };
        double found = element(result.after().get(part), finish, at);
        double error = Math.abs(found - expected);
        worst.squaredError += error * error;
        worst.squaredValue += expected * expected;
        double excess = Double.isNaN(error) ? Double.POSITIVE_INFINITY : error / allowed;
        if (excess > worst.excess) {
            worst.excess = excess;
            worst.text = "token %d, column %d is %s; %s was expected, within %.2e".formatted(token, column, found, expected, allowed);
        }
    }

    /// Gaps between rows, and the rows of padded tokens, hold what they held.
    private static void checkUntouched(LinearData data, Result result) {
        LinearCase shape = data.shape;
        for (int part = 0; part < shape.columns().size(); part++) {
            int columns = shape.columns().get(part);
            int bytes = elementBytes(shape.finishes().get(part));
            for (int token = 0; token < shape.tokens(); token++) {
                int row = token * stride(shape, part) * bytes;
                int from = row + (data.rows[token] < 0 ? 0 : columns * bytes);
                int end = row + stride(shape, part) * bytes;
                if (!Arrays.equals(result.before().get(part), from, end, result.after().get(part), from, end)) {
                    throw new AssertionError("%s: part %d was written beside token %d's values, or its padded row".formatted(shape,
                            part, token));
                }
            }
        }
    }

    /// The bytes of one token's values in all parts.
    static byte[] tokenBytes(LinearCase shape, Result result, int token) {
        byte[] all = new byte[0];
        for (int part = 0; part < shape.columns().size(); part++) {
            int columns = shape.columns().get(part);
            int bytes = elementBytes(shape.finishes().get(part));
            int row = token * stride(shape, part) * bytes;
            int end = all.length;
            all = Arrays.copyOf(all, end + columns * bytes);
            System.arraycopy(result.after().get(part), row, all, end, columns * bytes);
        }
        return all;
    }

    private static double element(byte[] output, Finish finish, int at) {
        return switch (finish) {
            case STORE_F32, ADD_F32 -> MemorySegment.ofArray(output).get(ValueLayout.JAVA_FLOAT_UNALIGNED, 4L * at);
            case STORE_BF16, SQUARED_RELU_BF16 -> LinearData.bf16(output, at);
            case SQUARED_RELU_E4M3 -> LinearData.e4m3(output[at]);
        };
    }

    // ---- memory ---------------------------------------------------------------------------------------------------------

    private static byte[] filled(int count) {
        byte[] bytes = new byte[count];
        Arrays.fill(bytes, PATTERN);
        return bytes;
    }

    private static byte[] bytes(int[] values) {
        byte[] bytes = new byte[values.length * Integer.BYTES];
        MemorySegment.ofArray(bytes).copyFrom(MemorySegment.ofArray(values));
        return bytes;
    }
}
