package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Device;
import java.util.Arrays;
import java.util.Random;

/// Compares the four Mamba families together with the layer in double precision: prompts through convolution, scan and
/// gated norm, in pieces, then tokens one by one through the state update, on the same slots.
final class MambaLayerCheck {

    /// A prompt in pairs and the fp32 state update.
    static final double TOLERANCE_PAIR = 1e-4;

    private final Device device;
    private final Kernels kernels;

    /// @param cuts    ends of the pieces of each prompt, see [GridCuts]; the last are the prompts' lengths
    /// @param decoded tokens after each prompt
    record Case(MambaShape shape, SsdChunkScan.Form form, FloatFormat projected, int[][] cuts, int decoded, long seed) {

        int[] prompts() {
            return cuts[cuts.length - 1];
        }
    }

    /// The outputs of every token of a sequence, `[prompt + decoded, innerDim]`.
    record Result(float[][] out) {}

    MambaLayerCheck(Device device, Kernels kernels) {
        this.device = device;
        this.kernels = kernels;
    }

    Result check(Case c, double tolerance) {
        Random random = new Random(c.seed());
        MambaWeights weights = MambaWeights.random(c.shape(), true, random);
        int count = c.prompts().length;
        float[][] projected = new float[count][];
        float[][] out = new float[count][];
        for (int s = 0; s < count; s++) {
            int tokens = c.prompts()[s] + c.decoded();
            projected[s] = weights.projectedRows(tokens, random);
            for (int i = 0; i < projected[s].length && c.projected() == FloatFormat.BF16; i++) {
                projected[s][i] = DeviceArrays.bf16(projected[s][i]);
            }
            out[s] = new float[tokens * c.shape().innerDim()];
        }
        try (DeviceArrays arrays = new DeviceArrays(device)) {
            Layer layer = new Layer(c, arrays, new MambaSlots(arrays, c.shape(), count, random), weights);
            int[] from = new int[count];
            for (int[] to : c.cuts()) {
                layer.prompts(new PromptPieces(from, to), projected, out);
                from = to;
            }
            for (int step = 0; step < c.decoded(); step++) {
                layer.decode(step, projected, out);
            }
        }
        for (int s = 0; s < count; s++) {
            MambaReference reference = new MambaReference(weights);
            double[] expected = new double[out[s].length];
            for (int token = 0; token < c.prompts()[s] + c.decoded(); token++) {
                double[] row = reference.step(projected[s], token * c.shape().rowWidth());
                System.arraycopy(row, 0, expected, token * row.length, row.length);
            }
            int border = c.prompts()[s] * c.shape().innerDim();
            Closeness.checkWhole(c + ": prompt " + s, Arrays.copyOf(out[s], border), Arrays.copyOf(expected, border), tolerance);
            Closeness.checkWhole(c + ": tokens after prompt " + s, Arrays.copyOfRange(out[s], border, out[s].length),
                    Arrays.copyOfRange(expected, border, expected.length), tolerance);
        }
        return new Result(out);
    }

    /// The launchers of one layer and its memory, as a backend has them.
    private final class Layer {

        private final Case c;
        private final MambaShape shape;
        private final DeviceArrays arrays;
        private final MambaSlots slots;
        private final CausalConv convolution;
        private final SsdChunkScan scan;
        private final GatedNorm norm;
        private final SelectiveStateUpdate update;
        private final CausalConv.Weights convolutionWeights;
        private final SsdChunkScan.Weights scanWeights;
        private final SelectiveStateUpdate.Weights updateWeights;
        private final long arrivals;

        Layer(Case c, DeviceArrays arrays, MambaSlots slots, MambaWeights weights) {
            this.c = c;
            this.arrays = arrays;
            this.slots = slots;
            shape = c.shape();
            convolution = new CausalConv(kernels, shape);
            scan = new SsdChunkScan(kernels, shape, c.form());
            norm = new GatedNorm(kernels, shape, weights.epsilon());
            update = new SelectiveStateUpdate(kernels, shape, weights.epsilon());
            convolutionWeights = weights.convolution(arrays);
            scanWeights = weights.scan(arrays);
            updateWeights = weights.update(arrays);
            arrivals = arrays.ints(new int[c.prompts().length * shape.groups()]);
        }

        void prompts(PromptPieces pieces, float[][] projected, float[][] out) {
            int rows = pieces.rows();
            long high = arrays.unwritten(2L * rows * shape.channels());
            long low = c.form() == SsdChunkScan.Form.PAIR ? arrays.unwritten(2L * rows * shape.channels()) : 0;
            long timeStep = arrays.unwritten(4L * rows * shape.heads());
            long y = arrays.unwritten((long) c.form().output().bytes() * rows * shape.innerDim());
            long rowsOnDevice = arrays.of(c.projected(), pieces.pack(projected, shape.rowWidth()));
            PromptSequences sequences = pieces.upload(arrays, slots, new int[c.prompts().length]);
            convolution.run(device.stream(), new CausalConv.Activations(high, low, timeStep, rowsOnDevice, c.projected()),
                    convolutionWeights, slots.state(), sequences);
            scan.run(device.stream(), new SsdChunkScan.Activations(y, high, low, timeStep), scanWeights, slots.state(), sequences);
            int count = rows * shape.innerDim();
            ProductInput.Bf16Pair target = new ProductInput.Bf16Pair(arrays.unwritten(2L * count), arrays.unwritten(2L * count));
            norm.run(device.stream(), target, new GatedNorm.Inputs(y, c.form().output(), rowsOnDevice, c.projected(),
                    updateWeights.norm()), rows);
            pieces.unpack(read(target, count), out, shape.innerDim());
        }

        void decode(int step, float[][] projected, float[][] out) {
            int rows = c.prompts().length;
            float[] packed = new float[rows * shape.rowWidth()];
            int[] slot = new int[rows];
            int[] position = new int[rows];
            for (int s = 0; s < rows; s++) {
                position[s] = c.prompts()[s] + step;
                slot[s] = slots.slotOf(s);
                System.arraycopy(projected[s], position[s] * shape.rowWidth(), packed, s * shape.rowWidth(), shape.rowWidth());
            }
            int count = rows * shape.innerDim();
            ProductInput.Bf16Pair target = new ProductInput.Bf16Pair(arrays.unwritten(2L * count), arrays.unwritten(2L * count));
            update.run(device.stream(), target, new SelectiveStateUpdate.Activations(arrays.of(c.projected(), packed),
                    c.projected(), arrays.unwritten(4L * count), arrivals), updateWeights, slots.state(),
                    new SelectiveStateUpdate.Rows(arrays.ints(slot), arrays.ints(position), rows));
            float[] found = read(target, count);
            for (int s = 0; s < rows; s++) {
                System.arraycopy(found, s * shape.innerDim(), out[s], position[s] * shape.innerDim(), shape.innerDim());
            }
        }

        private float[] read(ProductInput.Bf16Pair target, int count) {
            float[] sum = arrays.readBf16(target.high(), count);
            float[] rest = arrays.readBf16(target.low(), count);
            for (int i = 0; i < count; i++) {
                sum[i] += rest[i];
            }
            return sum;
        }
    }
}
