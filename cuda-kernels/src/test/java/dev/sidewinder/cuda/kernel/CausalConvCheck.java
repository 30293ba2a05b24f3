package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import java.util.Arrays;
import java.util.Random;

/// Compares `causal_conv1d` with the convolution in double precision, for prompts packed beside a padded sequence.
///
/// Every other sequence begins at position 0 in a slot that was never written, the others carry a state in.
final class CausalConvCheck {

    /// The sum of 4 products and SiLU by approximate exponential and reciprocal, in fp32.
    private static final double TOLERANCE_PAIR = 2e-5;
    /// Rounding to bf16: 2^-8 at most.
    private static final double TOLERANCE_BF16 = 4e-3;
    private static final double TOLERANCE_TIME_STEP = 2e-6;
    private static final int BLOCK_TOKENS = 128;

    private final Device device;
    private final Kernels kernels;

    /// @param low      whether the second bf16 is asked for
    /// @param tileRows 0: as the launcher chooses
    record Case(MambaShape shape, FloatFormat format, boolean low, boolean bias, int tileRows, int[] lengths, long seed) {

        @Override
        public String toString() {
            return "convolution of " + shape + " " + format + (low ? " in pairs" : "") + (bias ? "" : " without bias")
                    + ", tiles of " + tileRows + ", lengths " + Arrays.toString(lengths) + ", seed " + seed;
        }
    }

    /// What a run left behind, by sequence, and what it kept on the way.
    record Result(float[][] values, float[][] timeSteps, float[][] histories, float[][] kept) {}

    CausalConvCheck(Device device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    /// Runs every prompt in one piece and compares everything that was written, and that nothing else was.
    void check(Case c) {
        run(c, new int[][] {c.lengths()});
    }

    /// Runs the prompts in pieces that end at `cuts[0]`, `cuts[1]` … and compares likewise.
    Result run(Case c, int[][] cuts) {
        Random random = new Random(c.seed());
        MambaShape shape = c.shape();
        int sequences = c.lengths().length;
        MambaWeights weights = MambaWeights.random(shape, c.bias(), random);
        try (DeviceArrays arrays = new DeviceArrays(device)) {
            MambaSlots slots = new MambaSlots(arrays, shape, sequences, KeptOnTheWay.slots(c.lengths()), random);
            Sequences all = new Sequences(c, weights, slots, random, arrays);
            CausalConv convolution = new CausalConv(kernels, shape);
            CausalConv.Weights onDevice = weights.convolution(arrays);
            int[] from = new int[sequences];
            for (int[] to : cuts) {
                launch(c, arrays, convolution, onDevice, slots, all, new PromptPieces(from, to));
                from = to;
            }
            return all.compare(slots);
        }
    }

    private void launch(Case c, DeviceArrays arrays, CausalConv convolution, CausalConv.Weights weights, MambaSlots slots,
            Sequences all, PromptPieces pieces) {
        MambaShape shape = c.shape();
        int rows = pieces.rows();
        long high = arrays.unwritten(2L * rows * shape.channels());
        long low = c.low() ? arrays.unwritten(2L * rows * shape.channels()) : 0;
        long timeStep = arrays.unwritten(4L * rows * shape.heads());
        long projected = arrays.of(c.format(), pieces.pack(all.projected, shape.rowWidth()));
        CausalConv.Activations activations = new CausalConv.Activations(high, low, timeStep, projected, c.format());
        PromptSequences sequences = pieces.upload(arrays, slots, all.basePosition, all.kept);
        if (c.tileRows() == 0) {
            convolution.run(device.stream(), activations, weights, slots.state(), sequences);
        } else {
            convolution.run(device.stream(), activations, weights, slots.state(), sequences, c.tileRows());
        }
        float[] values = arrays.readBf16(high, rows * shape.channels());
        checkAllNaN("padded rows", pieces.padded(values, shape.channels()));
        if (c.low()) {
            float[] rest = arrays.readBf16(low, rows * shape.channels());
            checkAllNaN("padded low rows", pieces.padded(rest, shape.channels()));
            for (int i = 0; i < values.length; i++) {
                values[i] += rest[i];
            }
        }
        pieces.unpack(values, all.values, shape.channels());
        float[] timeSteps = arrays.readFloats(timeStep, rows * shape.heads());
        checkAllNaN("padded time steps", pieces.padded(timeSteps, shape.heads()));
        pieces.unpack(timeSteps, all.timeSteps, shape.heads());
    }

    private static void checkAllNaN(String what, float[] values) {
        for (int i = 0; i < values.length; i++) {
            if (!Float.isNaN(values[i])) {
                throw new AssertionError(what + " were written: " + values[i] + " at " + i);
            }
        }
    }

    /// Inputs and outputs by sequence.
    private static final class Sequences {

        final Case c;
        final MambaWeights weights;
        final float[][] projected;
        final float[][] values;
        final float[][] timeSteps;
        final float[][] carried;
        final int[] basePosition;
        final KeptOnTheWay kept;

        Sequences(Case c, MambaWeights weights, MambaSlots slots, Random random, DeviceArrays arrays) {
            this.c = c;
            this.weights = weights;
            MambaShape shape = c.shape();
            int count = c.lengths().length;
            projected = new float[count][];
            values = new float[count][];
            timeSteps = new float[count][];
            carried = new float[count][];
            basePosition = new int[count];
            // apart from the data, which stays as it is whatever is kept
            Random places = new Random(c.seed() + 1);
            for (int s = 0; s < count; s++) {
                int length = c.lengths()[s];
                projected[s] = weights.projectedRows(length, random);
                if (c.format() == FloatFormat.BF16) {
                    for (int i = 0; i < projected[s].length; i++) {
                        projected[s][i] = DeviceArrays.bf16(projected[s][i]);
                    }
                }
                values[s] = new float[length * shape.channels()];
                timeSteps[s] = new float[length * shape.heads()];
                if (s % 2 == 1) {
                    basePosition[s] = BLOCK_TOKENS * (1 + random.nextInt(9)) + insideABlock(length, places);
                    carried[s] = MambaWeights.gaussian((int) (shape.historyBytes() / 4), 1, random);
                    slots.set(s, carried[s], new float[0]);
                }
            }
            kept = new KeptOnTheWay(slots, basePosition, c.lengths(), places);
        }

        /// One in three of those that fit begins inside a block, and ends where it ends, or before.
        private static int insideABlock(int length, Random random) {
            int most = BLOCK_TOKENS - length;
            return most < 1 || random.nextInt(3) > 0 ? 0 : random.nextBoolean() ? most : 1 + random.nextInt(most);
        }

        Result compare(MambaSlots slots) {
            MambaShape shape = c.shape();
            float[][] histories = new float[c.lengths().length][];
            for (int s = 0; s < c.lengths().length; s++) {
                String what = c + ": sequence " + s + " of " + c.lengths()[s] + " tokens";
                MambaReference reference = carried[s] == null
                        ? new MambaReference(weights)
                        : new MambaReference(weights, carried[s], new float[shape.innerDim() * shape.stateDim()]);
                double[] expected = new double[values[s].length];
                double[] steps = new double[timeSteps[s].length];
                for (int token = 0; token < c.lengths()[s]; token++) {
                    int at = token * shape.rowWidth();
                    System.arraycopy(reference.convolve(projected[s], at), 0, expected, token * shape.channels(), shape.channels());
                    System.arraycopy(reference.timeSteps(projected[s], at), 0, steps, token * shape.heads(), shape.heads());
                    int keptSlot = kept.slotBehind(s, basePosition[s] + token + 1);
                    if (keptSlot >= 0) {
                        Closeness.check(what + ", kept behind " + (token + 1), slots.historyIn(keptSlot), reference.history(), 0);
                    }
                }
                Closeness.check(what, values[s], expected, c.low() ? TOLERANCE_PAIR : TOLERANCE_BF16);
                Closeness.check(what + ", time steps", timeSteps[s], steps, TOLERANCE_TIME_STEP);
                histories[s] = slots.history(s);
                if (c.lengths()[s] > 0 || carried[s] != null) {
                    // raw inputs: the same bits
                    Closeness.check(what + ", state", histories[s], reference.history(), 0);
                }
            }
            slots.checkTheRestUnwritten();
            return new Result(values, timeSteps, histories, kept.read(slots::historyIn));
        }
    }
}
