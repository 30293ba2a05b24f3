package dev.sidewinder.cuda.kernel;

import java.util.Random;

/// Random parameters of a Mamba-2 layer, as a trained one has them.
///
/// @param convBias null when the layer has none
record MambaWeights(MambaShape shape, float epsilon, float[] convWeight, float[] convBias, float[] timeStepBias,
        float[] decayRate, float[] skip, float[] norm) {

    static MambaWeights random(MambaShape shape, boolean convBias, Random random) {
        float[] rates = new float[shape.heads()];
        for (int head = 0; head < rates.length; head++) {
            rates[head] = (float) -Math.exp(random.nextDouble() * 4 - 1.5);
        }
        return new MambaWeights(shape, 1e-5f, gaussian(shape.channels() * shape.taps(), 0.5f, random),
                convBias ? gaussian(shape.channels(), 0.2f, random) : null, gaussian(shape.heads(), 1, random), rates,
                gaussian(shape.heads(), 1, random), gaussian(shape.innerDim(), 1, random));
    }

    static float[] gaussian(int count, float scale, Random random) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = scale * (float) random.nextGaussian();
        }
        return values;
    }

    /// Rows as an input projection gives them, `[rows, rowWidth]`: raw time steps around -3, one in a hundred so large that
    /// softplus is the identity.
    float[] projectedRows(int rows, Random random) {
        float[] values = gaussian(rows * shape.rowWidth(), 1, random);
        for (int row = 0; row < rows; row++) {
            for (int head = 0; head < shape.heads(); head++) {
                int at = row * shape.rowWidth() + shape.innerDim() + shape.channels() + head;
                values[at] = random.nextInt(100) == 0 ? 25 : values[at] - 3;
            }
        }
        return values;
    }

    CausalConv.Weights convolution(DeviceArrays arrays) {
        return new CausalConv.Weights(arrays.floats(convWeight), convBias == null ? 0 : arrays.floats(convBias),
                arrays.floats(timeStepBias));
    }

    SsdChunkScan.Weights scan(DeviceArrays arrays) {
        return new SsdChunkScan.Weights(arrays.floats(decayRate), arrays.floats(skip));
    }

    SelectiveStateUpdate.Weights update(DeviceArrays arrays) {
        return new SelectiveStateUpdate.Weights(arrays.floats(convWeight), convBias == null ? 0 : arrays.floats(convBias),
                arrays.floats(timeStepBias), arrays.floats(decayRate), arrays.floats(skip), arrays.floats(norm));
    }
}
