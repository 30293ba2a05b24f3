package dev.sidewinder.bench.simulate;

/// How long a step keeps the device.
///
/// @param generatedMicros the pass over generated tokens
/// @param promptMicros    the pass over pieces of prompts
/// @param copyMicros      copies of states and blocks, on the device and to the host
record StepTime(double generatedMicros, double promptMicros, double copyMicros) {

    double micros() {
        return generatedMicros + promptMicros + copyMicros;
    }

    long nanos() {
        return Math.round(micros() * 1000);
    }
}
