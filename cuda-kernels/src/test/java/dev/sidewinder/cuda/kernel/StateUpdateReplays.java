package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import java.util.Arrays;
import java.util.Random;

/// Launches one captured state update again and again: which sequence has which row, which rows are padded, positions and
/// inputs change in memory, and some sequences begin anew. Every output and every state is held against double precision.
final class StateUpdateReplays {

    private static final double TOLERANCE = 3e-5;
    private static final double TOLERANCE_STATE = 1e-5;
    /// Of so many sequences one begins anew in a replay.
    private static final int BEGIN_ANEW = 20;

    private final Device device;
    private final Kernels kernels;

    StateUpdateReplays(Device device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    /// @param rows of the launch, as many as there are sequences
    /// @throws AssertionError naming replay, row and the worst value
    void check(MambaShape shape, int rows, int replays, long seed) {
        Random random = new Random(seed);
        MambaWeights weights = MambaWeights.random(shape, true, random);
        try (DeviceArrays arrays = new DeviceArrays(device)) {
            MambaSlots slots = new MambaSlots(arrays, shape, rows, random);
            Step step = new Step(shape, rows, arrays);
            SelectiveStateUpdate update = new SelectiveStateUpdate(kernels, shape, weights.epsilon());
            SelectiveStateUpdate.Weights onDevice = weights.update(arrays);
            MambaReference[] references = new MambaReference[rows];
            int[] positions = new int[rows];
            try (CudaGraph graph = device.stream().capture(() -> update.run(device.stream(), step.out, step.activations, onDevice,
                    slots.state(), step.rows))) {
                for (int replay = 0; replay < replays; replay++) {
                    int[] sequences = sequences(rows, random);
                    float[] projected = new float[rows * shape.rowWidth()];
                    for (int row = 0; row < rows; row++) {
                        int sequence = sequences[row];
                        if (sequence >= 0 && (references[sequence] == null || random.nextInt(BEGIN_ANEW) == 0)) {
                            references[sequence] = new MambaReference(weights);
                            positions[sequence] = 0;
                        }
                        float[] values = weights.projectedRows(1, random);
                        if (sequence < 0) {
                            Arrays.fill(values, Float.NaN);
                        }
                        System.arraycopy(values, 0, projected, row * shape.rowWidth(), values.length);
                    }
                    step.write(projected, sequences, positions, slots);
                    graph.launch(device.stream());
                    String what = "state update of " + shape + ", seed " + seed + ", replay " + replay;
                    compare(what, shape, sequences, references, projected, step.read());
                    advance(sequences, positions);
                }
            }
            for (int sequence = 0; sequence < rows; sequence++) {
                if (references[sequence] != null) {
                    Closeness.check("state of sequence " + sequence + " after " + replays + " replays, seed " + seed,
                            slots.recurrent(sequence), references[sequence].recurrent(), TOLERANCE_STATE);
                }
            }
            slots.checkTheRestUnwritten();
        }
    }

    /// The sequence of each row, in random order; -1: padded.
    private static int[] sequences(int rows, Random random) {
        int[] sequences = new int[rows];
        Arrays.setAll(sequences, i -> i);
        for (int row = rows - 1; row >= 0; row--) {
            int other = random.nextInt(row + 1);
            int sequence = sequences[other];
            sequences[other] = sequences[row];
            sequences[row] = random.nextInt(4) == 0 ? -1 : sequence;
        }
        return sequences;
    }

    private static void compare(String what, MambaShape shape, int[] sequences, MambaReference[] references, float[] projected,
            float[] found) {
        int width = shape.innerDim();
        for (int row = 0; row < sequences.length; row++) {
            if (sequences[row] >= 0) {
                double[] expected = references[sequences[row]].step(projected, row * shape.rowWidth());
                Closeness.check(what + ", row " + row, Arrays.copyOfRange(found, row * width, (row + 1) * width), expected, TOLERANCE);
            }
        }
    }

    private static void advance(int[] sequences, int[] positions) {
        for (int sequence : sequences) {
            if (sequence >= 0) {
                positions[sequence]++;
            }
        }
    }

    /// The memory whose addresses the graph holds.
    private static final class Step {

        private final DeviceArrays arrays;
        private final int count;
        private final ProductInput.Bf16Pair out;
        private final SelectiveStateUpdate.Activations activations;
        private final SelectiveStateUpdate.Rows rows;

        Step(MambaShape shape, int rowCount, DeviceArrays arrays) {
            this.arrays = arrays;
            count = rowCount * shape.innerDim();
            out = new ProductInput.Bf16Pair(arrays.unwritten(2L * count), arrays.unwritten(2L * count));
            activations = new SelectiveStateUpdate.Activations(arrays.unwritten(4L * rowCount * shape.rowWidth()), FloatFormat.F32,
                    arrays.unwritten(4L * count), arrays.ints(new int[rowCount * shape.groups()]));
            rows = new SelectiveStateUpdate.Rows(arrays.unwritten(4L * rowCount), arrays.unwritten(4L * rowCount), rowCount);
        }

        void write(float[] projected, int[] sequences, int[] positions, MambaSlots slots) {
            arrays.write(activations.projected(), projected);
            arrays.write(rows.slot(), Arrays.stream(sequences).map(s -> s < 0 ? -1 : slots.slotOf(s)).toArray());
            arrays.write(rows.position(), Arrays.stream(sequences).map(s -> s < 0 ? 0 : positions[s]).toArray());
        }

        float[] read() {
            float[] sum = arrays.readBf16(out.high(), count);
            float[] rest = arrays.readBf16(out.low(), count);
            for (int i = 0; i < count; i++) {
                sum[i] += rest[i];
            }
            return sum;
        }
    }
}
