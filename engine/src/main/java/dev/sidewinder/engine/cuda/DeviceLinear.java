package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Numbers;

/// A weight matrix on the device, in the number format it is stored in.
///
/// @param inputScale static scale of e4m3 activations; 1 where activations are bf16
record DeviceLinear(Linear.Weights weights, float inputScale) {

    /// Whether activations go in as e4m3.
    boolean takesE4m3() {
        return weights.numbers() == Numbers.E4M3;
    }

    int outputs() {
        return weights.outputs();
    }

    int inputs() {
        return weights.inputs();
    }

    /// Whether both take the same activations, so that one launch can read them once.
    boolean sharesSourceWith(DeviceLinear other) {
        return weights.numbers() == other.weights.numbers() && inputScale == other.inputScale && inputs() == other.inputs();
    }
}
