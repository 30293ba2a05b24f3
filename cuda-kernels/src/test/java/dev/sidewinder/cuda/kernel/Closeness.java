package dev.sidewinder.cuda.kernel;

/// How far a kernel's result is from a reference in double precision.
///
/// @param relative root mean square of the differences over that of the reference
/// @param worst    the index of the largest difference
/// @param largest  that difference over the value or the root mean square of the reference, whichever is larger
record Closeness(double relative, int worst, double largest) {

    /// A tensor's largest error against its root mean square error: beyond this something else than rounding is at work.
    private static final double PEAK = 20;

    static Closeness of(float[] actual, double[] expected) {
        if (actual.length != expected.length) {
            throw new AssertionError(actual.length + " values, expected " + expected.length);
        }
        double squares = 0;
        for (double value : expected) {
            squares += value * value;
        }
        double scale = squares == 0 ? 1 : Math.sqrt(squares / expected.length);
        double errors = 0;
        int worst = 0;
        double largest = -1;
        for (int i = 0; i < actual.length; i++) {
            double difference = Math.abs(actual[i] - expected[i]);
            double share = difference / Math.max(scale, Math.abs(expected[i]));
            if (Double.isNaN(share)) {
                return new Closeness(Double.POSITIVE_INFINITY, i, Double.POSITIVE_INFINITY);
            }
            errors += difference * difference;
            if (share > largest) {
                largest = share;
                worst = i;
            }
        }
        return new Closeness(Math.sqrt(errors / Math.max(1, actual.length)) / scale, worst, largest);
    }

    /// @throws AssertionError naming the worst index and both values, when the relative error of the whole is above
    ///     `tolerance` or that of one value above twenty times it
    static Closeness check(String what, float[] actual, double[] expected, double tolerance) {
        Closeness found = of(actual, expected);
        if (!(found.relative <= tolerance) || !(found.largest <= PEAK * tolerance)) {
            throw new AssertionError("%s: relative error %.3g (tolerance %.3g), largest %.3g; worst at %d of %d: %s instead of %s"
                    .formatted(what, found.relative, tolerance, found.largest, found.worst, actual.length,
                            actual.length == 0 ? "-" : actual[found.worst], expected.length == 0 ? "-" : expected[found.worst]));
        }
        return found;
    }

    /// As [#check], for results that a norm over few values has magnified in places: the whole tensor's error counts.
    static void checkWhole(String what, float[] actual, double[] expected, double tolerance) {
        Closeness found = of(actual, expected);
        if (!(found.relative <= tolerance)) {
            throw new AssertionError("%s: relative error %.3g (tolerance %.3g); worst at %d of %d: %s instead of %s"
                    .formatted(what, found.relative, tolerance, found.worst, actual.length, actual[found.worst],
                            expected[found.worst]));
        }
    }

    /// @throws AssertionError naming the first index where the bits differ
    static void checkSameBits(String what, float[] actual, float[] expected) {
        if (actual.length != expected.length) {
            throw new AssertionError(what + ": " + actual.length + " values, expected " + expected.length);
        }
        for (int i = 0; i < actual.length; i++) {
            if (Float.floatToRawIntBits(actual[i]) != Float.floatToRawIntBits(expected[i])) {
                throw new AssertionError("%s: bits differ at %d of %d: %s instead of %s"
                        .formatted(what, i, actual.length, actual[i], expected[i]));
            }
        }
    }

    /// @throws AssertionError where memory that was to stay unwritten (all bits set) is not
    static void checkUnwritten(String what, int[] words) {
        for (int i = 0; i < words.length; i++) {
            if (words[i] != -1) {
                throw new AssertionError("%s was written: word %d of %d is 0x%x".formatted(what, i, words.length, words[i]));
            }
        }
    }
}
