package dev.sidewinder.bench.simulate;

/// How long a step keeps the device. It has one pass at most.
///
/// @param generatedMicros a pass over generated tokens
/// @param promptMicros    a pass over pieces of prompts
/// @param mixedMicros     a pass over both
/// @param copyMicros      copies of states and blocks, on the device and to the host
record StepTime(double generatedMicros, double promptMicros, double mixedMicros, double copyMicros) {

    double micros() {
        return generatedMicros + promptMicros + mixedMicros + copyMicros;
    }

    long nanos() {
        return Math.round(micros() * 1000);
    }
}
