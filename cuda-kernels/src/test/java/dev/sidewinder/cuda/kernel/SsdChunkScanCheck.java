package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import java.util.Arrays;
import java.util.Random;
import java.util.function.DoubleSupplier;
import java.util.stream.IntStream;

/// Compares `ssd_chunk_scan` with the recurrence in double precision, for prompts packed beside a padded sequence.
///
/// Every other sequence begins at position 0 in a slot that was never written, the others carry a state in.
final class SsdChunkScanCheck {

    /// The plain kernel: every block's rows and the tensor cores left aside.
    static final int PLAIN = -1;
    /// As the launcher chooses.
    static final int CHOSEN = 0;
    private static final int BLOCK_TOKENS = 128;
    private static final int FEW_VALUES = 16_384;

    private final Device device;
    private final Kernels kernels;

    /// @param blockRows rows of the state that a block owns, or [#PLAIN] or [#CHOSEN]
    record Case(MambaShape shape, SsdChunkScan.Form form, int blockRows, int[] lengths, long seed) {

        @Override
        public String toString() {
            return "scan of " + shape + " " + form + ", " + blockRows + " rows a block, lengths " + Arrays.toString(lengths)
                    + ", seed " + seed;
        }

        boolean plain() {
            return blockRows == PLAIN || shape.stateDim() != 64 && shape.stateDim() != 128 || shape.headDim() % 16 != 0;
        }

        /// Rounding of the operands in SINGLE, each to 2^-9 at most, and of y to bf16; 2^-16 and the approximate
        /// exponential in PAIR, over decays of up to some hundred; fp32 sums in the plain form.
        double tolerance() {
            return switch (form) {
                case SINGLE -> 4e-3;
                case PAIR -> plain() ? 3e-6 : 3e-5;
            };
        }

        /// Of the outputs of a sequence. Where they are few, all of them may happen to cancel: the error is then as large as
        /// ever, and what it is held against is small.
        double tolerance(int tokens) {
            return tolerance() * ((long) tokens * shape.innerDim() < FEW_VALUES ? 4 : 1.5);
        }

        double stateTolerance() {
            return plain() ? 3e-6 : tolerance();
        }
    }

    /// What a run left behind, by sequence, and what it kept on the way; `error` is the largest relative error of a sequence's outputs.
    ///
    /// @param inputError the relative error that the form's rounding of x, B and C makes in the outputs of the sequence
    ///     where it makes the largest, by itself: the recurrence in doubles on both
    record Result(float[][] y, float[][] states, float[][] kept, double error, DoubleSupplier inputError) {}

    SsdChunkScanCheck(Device device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    /// Runs every prompt in one piece and compares everything that was written, and that nothing else was.
    Result check(Case c) {
        return run(c, new int[][] {c.lengths()});
    }

    /// Runs the prompts in pieces that end at `cuts[0]`, `cuts[1]` … and compares likewise.
    Result run(Case c, int[][] cuts) {
        Random random = new Random(c.seed());
        int sequences = c.lengths().length;
        MambaWeights weights = MambaWeights.random(c.shape(), true, random);
        try (DeviceArrays arrays = new DeviceArrays(device)) {
            MambaSlots slots = new MambaSlots(arrays, c.shape(), sequences, KeptOnTheWay.slots(c.lengths()), random);
            Sequences all = new Sequences(c, weights, slots, random);
            SsdChunkScan scan = new SsdChunkScan(kernels, c.shape(), c.form());
            SsdChunkScan.Weights onDevice = weights.scan(arrays);
            int[] from = new int[sequences];
            for (int[] to : cuts) {
                launch(c, arrays, scan, onDevice, slots, all, new PromptPieces(from, to));
                from = to;
            }
            return all.compare(slots);
        }
    }

    private void launch(Case c, DeviceArrays arrays, SsdChunkScan scan, SsdChunkScan.Weights weights, MambaSlots slots,
            Sequences all, PromptPieces pieces) {
        MambaShape shape = c.shape();
        int rows = pieces.rows();
        FloatFormat format = c.form().output();
        long y = arrays.unwritten((long) format.bytes() * rows * shape.innerDim());
        SsdChunkScan.Activations activations = new SsdChunkScan.Activations(y,
                arrays.bf16(pieces.pack(all.high, shape.channels())), arrays.bf16(pieces.pack(all.low, shape.channels())),
                arrays.floats(pieces.pack(all.timeSteps, shape.heads())));
        PromptSequences sequences = pieces.upload(arrays, slots, all.basePosition, all.kept);
        switch (c.blockRows()) {
            case PLAIN -> scan.runPlain(device.stream(), activations, weights, slots.state(), sequences);
            case CHOSEN -> scan.run(device.stream(), activations, weights, slots.state(), sequences);
            default -> scan.run(device.stream(), activations, weights, slots.state(), sequences, c.blockRows());
        }
        float[] values = arrays.read(format, y, rows * shape.innerDim());
        for (float value : pieces.padded(values, shape.innerDim())) {
            if (!Float.isNaN(value)) {
                throw new AssertionError(c + ": a padded row was written: " + value);
            }
        }
        pieces.unpack(values, all.y, shape.innerDim());
    }

    /// Inputs and outputs by sequence.
    private static final class Sequences {

        final Case c;
        final MambaWeights weights;
        final float[][] unrounded;
        final float[][] high;
        final float[][] low;
        final float[][] timeSteps;
        final float[][] y;
        final float[][] carried;
        final int[] basePosition;
        final KeptOnTheWay kept;

        Sequences(Case c, MambaWeights weights, MambaSlots slots, Random random) {
            this.c = c;
            this.weights = weights;
            MambaShape shape = c.shape();
            int count = c.lengths().length;
            unrounded = new float[count][];
            high = new float[count][];
            low = new float[count][];
            timeSteps = new float[count][];
            y = new float[count][];
            carried = new float[count][];
            basePosition = new int[count];
            // apart from the data, which stays as it is whatever is kept
            Random places = new Random(c.seed() + 1);
            for (int s = 0; s < count; s++) {
                int length = c.lengths()[s];
                unrounded[s] = convolved(shape, length, random);
                high[s] = new float[unrounded[s].length];
                low[s] = new float[unrounded[s].length];
                for (int i = 0; i < high[s].length; i++) {
                    high[s][i] = DeviceArrays.bf16(unrounded[s][i]);
                    low[s][i] = c.form() == SsdChunkScan.Form.PAIR ? DeviceArrays.bf16(unrounded[s][i] - high[s][i]) : 0;
                }
                timeSteps[s] = new float[length * shape.heads()];
                for (int i = 0; i < timeSteps[s].length; i++) {
                    timeSteps[s][i] = timeStep(random);
                }
                y[s] = new float[length * shape.innerDim()];
                if (s % 2 == 1) {
                    basePosition[s] = BLOCK_TOKENS * (1 + random.nextInt(9)) + insideABlock(length, places);
                    carried[s] = MambaWeights.gaussian(shape.innerDim() * shape.stateDim(), 1, random);
                    slots.set(s, new float[0], carried[s]);
                }
            }
            kept = new KeptOnTheWay(slots, basePosition, c.lengths(), places);
        }

        /// One in three of those that fit begins inside a block, and ends where it ends, or before.
        private static int insideABlock(int length, Random random) {
            int most = BLOCK_TOKENS - length;
            return most < 1 || random.nextInt(3) > 0 ? 0 : random.nextBoolean() ? most : 1 + random.nextInt(most);
        }

        /// As SiLU leaves them.
        private static float[] convolved(MambaShape shape, int rows, Random random) {
            float[] values = MambaWeights.gaussian(rows * shape.channels(), 1, random);
            for (int i = 0; i < values.length; i++) {
                values[i] = (float) MambaReference.silu(values[i]);
            }
            return values;
        }

        /// From 0.001 to 1, evenly in the logarithm; some are zero, some so large that they wipe the state out.
        private static float timeStep(Random random) {
            return switch (random.nextInt(200)) {
                case 0 -> 0;
                case 1 -> 30;
                default -> (float) Math.pow(10, -3 * random.nextDouble());
            };
        }

        Result compare(MambaSlots slots) {
            float[][] states = new float[c.lengths().length][];
            double error = 0;
            double[][] expectedOf = new double[c.lengths().length][];
            for (int s = 0; s < c.lengths().length; s++) {
                String what = c + ": sequence " + s + " of " + c.lengths()[s] + " tokens";
                MambaReference reference = reference(s);
                double[] expected = outputs(reference, s, slots, what);
                expectedOf[s] = expected;
                error = Math.max(error, Closeness.check(what, y[s], expected, c.tolerance(c.lengths()[s])).relative());
                states[s] = slots.recurrent(s);
                if (c.lengths()[s] > 0 || carried[s] != null) {
                    Closeness.check(what + ", state", states[s], reference.recurrent(), c.stateTolerance());
                }
            }
            slots.checkTheRestUnwritten();
            return new Result(y, states, kept.read(slots::recurrentIn), error, () -> IntStream.range(0, expectedOf.length)
                    .mapToDouble(s -> inputError(s, expectedOf[s])).max().orElse(0));
        }

        private MambaReference reference(int sequence) {
            return carried[sequence] == null
                    ? new MambaReference(weights)
                    : new MambaReference(weights, new float[(int) (c.shape().historyBytes() / 4)], carried[sequence]);
        }

        /// The sequence through the reference; snapshots are compared on the way.
        private double[] outputs(MambaReference reference, int sequence, MambaSlots slots, String what) {
            MambaShape shape = c.shape();
            double[] expected = new double[y[sequence].length];
            for (int token = 0; token < c.lengths()[sequence]; token++) {
                double[] row = reference.recur(row(sequence, token), timeStepRow(sequence, token));
                System.arraycopy(row, 0, expected, token * shape.innerDim(), shape.innerDim());
                int keptSlot = kept.slotBehind(sequence, basePosition[sequence] + token + 1);
                if (keptSlot >= 0) {
                    Closeness.check(what + ", kept behind " + (token + 1), slots.recurrentIn(keptSlot), reference.recurrent(),
                            c.stateTolerance());
                }
            }
            return expected;
        }

        private double inputError(int sequence, double[] expected) {
            MambaShape shape = c.shape();
            MambaReference exact = reference(sequence);
            float[] found = new float[expected.length];
            for (int token = 0; token < c.lengths()[sequence]; token++) {
                double[] row = new double[shape.channels()];
                for (int i = 0; i < row.length; i++) {
                    row[i] = unrounded[sequence][token * shape.channels() + i];
                }
                double[] out = exact.recur(row, timeStepRow(sequence, token));
                for (int i = 0; i < out.length; i++) {
                    found[token * out.length + i] = (float) out[i];
                }
            }
            return Closeness.of(found, expected).relative();
        }

        private double[] row(int sequence, int token) {
            int channels = c.shape().channels();
            double[] row = new double[channels];
            for (int i = 0; i < channels; i++) {
                row[i] = (double) high[sequence][token * channels + i] + low[sequence][token * channels + i];
            }
            return row;
        }

        private double[] timeStepRow(int sequence, int token) {
            int heads = c.shape().heads();
            double[] row = new double[heads];
            for (int i = 0; i < heads; i++) {
                row[i] = timeSteps[sequence][token * heads + i];
            }
            return row;
        }
    }
}
