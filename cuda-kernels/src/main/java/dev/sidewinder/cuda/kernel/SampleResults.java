package dev.sidewinder.cuda.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;

/// What came of a step's rows: reads the `SampleResult` records of `sample.cu`, once the stream has passed.
public final class SampleResults {

    /// Bytes of a row.
    public static final int ROW_BYTES = 192;

    private static final long CODE = 0;
    private static final long TOKEN = 4;
    private static final long LOGIT = 8;
    private static final long LARGEST = 12;
    private static final long TOTAL = 16;
    private static final long ALTERNATIVES = 24;
    private static final long TOP_TOKENS = 32;
    private static final long TOP_LOGITS = TOP_TOKENS + Sample.MAX_ALTERNATIVES * (long) Integer.BYTES;

    /// In the order of `SampleCode` in `sample.cu`.
    public enum Outcome {
        CHOSEN,
        /// penalties, bans and masks left nothing to choose from
        NOTHING_ALLOWED,
        /// a logit is NaN or infinite
        NOT_FINITE,
        /// no token has any weight: the temperature or another parameter is out of its range
        NO_WEIGHT,
        /// the row was a padded one
        PADDED
    }

    private static final Outcome[] OUTCOMES = Outcome.values();

    private final MemorySegment segment;

    /// @param segment host memory with [#ROW_BYTES] per row
    public SampleResults(MemorySegment segment) {
        this.segment = segment;
    }

    public Outcome outcome(int row) {
        int code = segment.get(ValueLayout.JAVA_INT, at(row, CODE));
        if (code < 0 || code >= OUTCOMES.length) {
            throw new IllegalStateException("row " + row + " of the sampling results has code " + code + "; nothing was written there");
        }
        return OUTCOMES[code];
    }

    /// Of a row that has one.
    public int token(int row) {
        return segment.get(ValueLayout.JAVA_INT, at(row, TOKEN));
    }

    /// How many alternatives follow; -1 when the row has no log-probabilities, and then nothing below is valid.
    public int alternatives(int row) {
        return segment.get(ValueLayout.JAVA_INT, at(row, ALTERNATIVES));
    }

    /// The logit of the row's token, as the model computed it.
    public float logit(int row) {
        return segment.get(ValueLayout.JAVA_FLOAT, at(row, LOGIT));
    }

    /// The largest logit that the model computed.
    public float largest(int row) {
        return segment.get(ValueLayout.JAVA_FLOAT, at(row, LARGEST));
    }

    /// The sum of `exp(logit - largest)` over the row, each term in whole units of 2^-40.
    public long total(int row) {
        return segment.get(ValueLayout.JAVA_LONG, at(row, TOTAL));
    }

    /// The `i`-th most likely token, from 0.
    public int topToken(int row, int i) {
        return segment.get(ValueLayout.JAVA_INT, at(row, TOP_TOKENS + i * (long) Integer.BYTES));
    }

    public float topLogit(int row, int i) {
        return segment.get(ValueLayout.JAVA_FLOAT, at(row, TOP_LOGITS + i * (long) Float.BYTES));
    }

    private static long at(int row, long field) {
        return row * (long) ROW_BYTES + field;
    }
}
