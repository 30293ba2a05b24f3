package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import java.util.Arrays;
import java.util.Random;

/// Compares `selective_state_update` with the layer in double precision over several steps of a batch.
///
/// Every other sequence begins at position 0 in a slot that was never written, the others carry a state in. Padded rows
/// stand between them: their inputs are NaN, and their outputs, scratch and counters must stay as they were.
final class SelectiveStateUpdateCheck {

    static final int PLAIN = -1;
    static final int CHOSEN = 0;
    /// fp32 throughout, gate by approximate exponential and reciprocal, a pair of bf16.
    private static final double TOLERANCE_PAIR = 3e-5;
    private static final double TOLERANCE_BF16 = 4e-3;
    private static final double TOLERANCE_E4M3 = 6.3e-2;
    private static final double TOLERANCE_STATE = 1e-5;
    private static final float INPUT_SCALE = GatedNormCheck.INPUT_SCALE;

    private final Device device;
    private final Kernels kernels;

    /// @param rows   of the batch; a negative one is padded, others name their sequence
    /// @param blockRows rows of the state that a block owns, or [#PLAIN] or [#CHOSEN]
    record Case(MambaShape shape, FloatFormat format, GatedNormCheck.Target target, boolean bias, int blockRows, int[] rows,
            int steps, long seed) {

        int sequences() {
            return Arrays.stream(rows).max().orElse(-1) + 1;
        }

        @Override
        public String toString() {
            return "state update of " + shape + " " + format + " to " + target + (bias ? "" : " without bias") + ", " + blockRows
                    + " rows a block, batch " + Arrays.toString(rows) + ", " + steps + " steps, seed " + seed;
        }
    }

    /// By sequence: the outputs of all steps, and the state left behind.
    record Result(float[][] out, float[][] states) {}

    SelectiveStateUpdateCheck(Device device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    Result check(Case c) {
        MambaShape shape = c.shape();
        MambaWeights weights = MambaWeights.random(shape, c.bias(), new Random(c.seed()));
        int count = c.sequences();
        try (DeviceArrays arrays = new DeviceArrays(device)) {
            MambaSlots slots = new MambaSlots(arrays, shape, count, new Random(c.seed() + 1));
            MambaReference[] references = new MambaReference[count];
            float[][] inputs = new float[count][];
            int[] position = new int[count];
            for (int s = 0; s < count; s++) {
                // seeded by sequence, so that a sequence alone is the same as in a batch
                Random random = new Random(c.seed() * 31 + s);
                inputs[s] = weights.projectedRows(c.steps(), random);
                for (int i = 0; i < inputs[s].length && c.format() == FloatFormat.BF16; i++) {
                    inputs[s][i] = DeviceArrays.bf16(inputs[s][i]);
                }
                references[s] = new MambaReference(weights);
                if (s % 2 == 1) {
                    float[] history = MambaWeights.gaussian((int) (shape.historyBytes() / 4), 1, random);
                    float[] recurrent = MambaWeights.gaussian((int) (shape.stateBytes() / 4), 1, random);
                    slots.set(s, history, recurrent);
                    references[s] = new MambaReference(weights, history, recurrent);
                    position[s] = 1 + random.nextInt(1000);
                }
            }
            Batch batch = new Batch(c, arrays, slots, weights);
            float[][] out = new float[count][c.steps() * shape.innerDim()];
            for (int step = 0; step < c.steps(); step++) {
                float[] found = batch.step(inputs, position, step);
                for (int row = 0; row < c.rows().length; row++) {
                    int s = c.rows()[row];
                    float[] mine = Arrays.copyOfRange(found, row * shape.innerDim(), (row + 1) * shape.innerDim());
                    if (s < 0) {
                        continue;
                    }
                    double[] expected = c.target().of(references[s].step(inputs[s], step * shape.rowWidth()));
                    Closeness.check(c + ": step " + step + ", sequence " + s, mine, expected, tolerance(c.target()));
                    System.arraycopy(mine, 0, out[s], step * shape.innerDim(), mine.length);
                    position[s]++;
                }
            }
            float[][] states = new float[count][];
            for (int s = 0; s < count; s++) {
                if (position[s] == 0) {
                    continue;
                }
                states[s] = slots.recurrent(s);
                Closeness.check(c + ": state of sequence " + s, states[s], references[s].recurrent(), TOLERANCE_STATE);
                Closeness.check(c + ": history of sequence " + s, slots.history(s), references[s].history(), 0);
            }
            slots.checkTheRestUnwritten();
            return new Result(out, states);
        }
    }

    private static double tolerance(GatedNormCheck.Target target) {
        return switch (target) {
            case BF16 -> TOLERANCE_BF16;
            case PAIR -> TOLERANCE_PAIR;
            case E4M3 -> TOLERANCE_E4M3;
        };
    }

    /// The arrays of a batch on the device, as a captured graph has them: their contents change from step to step.
    private final class Batch {

        private final Case c;
        private final DeviceArrays arrays;
        private final MambaSlots slots;
        private final SelectiveStateUpdate update;
        private final SelectiveStateUpdate.Weights weights;
        private final long arrivals;
        private final long y;
        private final long high;
        private final long low;
        private final long quantised;

        Batch(Case c, DeviceArrays arrays, MambaSlots slots, MambaWeights weights) {
            this.c = c;
            this.arrays = arrays;
            this.slots = slots;
            update = new SelectiveStateUpdate(kernels, c.shape(), weights.epsilon());
            this.weights = weights.update(arrays);
            int rows = c.rows().length;
            int count = rows * c.shape().innerDim();
            int[] zero = new int[rows * c.shape().groups()];
            for (int i = 0; i < zero.length; i++) {
                zero[i] = c.rows()[i / c.shape().groups()] < 0 ? -1 : 0;
            }
            arrivals = arrays.ints(zero);
            y = arrays.unwritten(4L * count);
            high = arrays.unwritten(2L * count);
            low = arrays.unwritten(2L * count);
            quantised = arrays.unwritten(count);
        }

        float[] step(float[][] inputs, int[] position, int step) {
            MambaShape shape = c.shape();
            int rows = c.rows().length;
            float[] projected = new float[rows * shape.rowWidth()];
            int[] slot = new int[rows];
            int[] at = new int[rows];
            for (int row = 0; row < rows; row++) {
                int s = c.rows()[row];
                slot[row] = s < 0 ? -1 : slots.slotOf(s);
                at[row] = s < 0 ? 0 : position[s];
                for (int i = 0; i < shape.rowWidth(); i++) {
                    projected[row * shape.rowWidth() + i] = s < 0 ? Float.NaN : inputs[s][step * shape.rowWidth() + i];
                }
            }
            run(new SelectiveStateUpdate.Activations(arrays.of(c.format(), projected), c.format(), y, arrivals),
                    new SelectiveStateUpdate.Rows(arrays.ints(slot), arrays.ints(at), rows));
            checkCounters();
            return read(rows * shape.innerDim());
        }

        private void run(SelectiveStateUpdate.Activations activations, SelectiveStateUpdate.Rows rows) {
            ProductInput out = switch (c.target()) {
                case BF16 -> new ProductInput.Bf16(high);
                case PAIR -> new ProductInput.Bf16Pair(high, low);
                case E4M3 -> new ProductInput.E4m3(quantised, INPUT_SCALE);
            };
            switch (c.blockRows()) {
                case PLAIN -> update.runPlain(device.stream(), out, activations, weights, slots.state(), rows);
                case CHOSEN -> update.run(device.stream(), out, activations, weights, slots.state(), rows);
                default -> update.run(device.stream(), out, activations, weights, slots.state(), rows, c.blockRows());
            }
        }

        private void checkCounters() {
            int groups = c.shape().groups();
            int[] counters = arrays.readInts(arrivals, c.rows().length * groups);
            for (int i = 0; i < counters.length; i++) {
                if (counters[i] != (c.rows()[i / groups] < 0 ? -1 : 0)) {
                    throw new AssertionError(c + ": counter of row " + i / groups + ", group " + i % groups + " is " + counters[i]);
                }
            }
        }

        private float[] read(int count) {
            float[] found = switch (c.target()) {
                case BF16 -> arrays.readBf16(high, count);
                case PAIR -> {
                    float[] sum = arrays.readBf16(high, count);
                    float[] rest = arrays.readBf16(low, count);
                    for (int i = 0; i < count; i++) {
                        sum[i] += rest[i];
                    }
                    yield sum;
                }
                case E4M3 -> {
                    float[] codes = arrays.readE4m3(quantised, count);
                    for (int i = 0; i < count; i++) {
                        codes[i] *= INPUT_SCALE;
                    }
                    yield codes;
                }
            };
            for (int i = 0; i < count; i++) {
                if (c.rows()[i / c.shape().innerDim()] < 0 && !Float.isNaN(found[i])) {
                    throw new AssertionError(c + ": padded row " + i / c.shape().innerDim() + " was written: " + found[i]);
                }
            }
            return found;
        }
    }
}
