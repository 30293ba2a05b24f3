package dev.sidewinder.cuda.kernel;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.function.IntToLongFunction;

/// Writes what a step's rows ask of the sampler, in the layout of `SampleRow` in `sample.cu`, into host memory that is then
/// copied to the device: rows, lists and masks, each as far as [#rowBytes], [#listBytes] and [#maskBytes] say.
///
/// A row is begun and then described: `rows.begin(0).draw(0.7, 40, 1, 0).random(seed, 0, position).logprobs(5)`. Until more
/// is said of it, it takes the largest logit. A token is below the size of the vocabulary, which is checked here and not on
/// the device. One thread.
public final class SampleRows {

    /// Bytes of a row.
    public static final int ROW_BYTES = 120;

    /// Units of the heaviest token.
    private static final double HEAVIEST = 1L << 40;

    private static final long SCALE = 0;
    private static final long TOP_P = 8;
    private static final long FREQUENCY_PENALTY = 16;
    private static final long PRESENCE_PENALTY = 24;
    private static final long SEED = 32;
    private static final long LEAST = 40;
    private static final long MASK = 48;
    private static final long REPETITION_PENALTY = 56;
    private static final long TOP_K = 60;
    private static final long CHOICE = 64;
    private static final long POSITION = 68;
    private static final long GREEDY = 72;
    private static final long ALTERNATIVES = 76;
    private static final long TARGET = 80;

    /// A row's lists. Each has its first word and its length in the row.
    private enum Entries {
        BIAS(84, 2), PENALTY(92, 2), BANNED(100, 1), ALLOWED(108, 1);

        final long field;
        final int words;

        Entries(long field, int words) {
            this.field = field;
            this.words = words;
        }
    }

    private final MemorySegment rows;
    private final MemorySegment lists;
    private final MemorySegment masks;
    private final long maskAddress;
    private final int vocabSize;
    private final int maskWords;
    private long row;
    private int rowCount;
    private int listWords;
    private int maskCount;

    /// @param rows        host memory for the rows, [#ROW_BYTES] each
    /// @param lists       host memory for tokens with bias, penalties, bans, and allowed tokens: 8 bytes each at most
    /// @param masks       host memory for masks, [#maskBytes(int)] each
    /// @param maskAddress the device address that `masks` is copied to
    public SampleRows(MemorySegment rows, MemorySegment lists, MemorySegment masks, long maskAddress, int vocabSize) {
        this.rows = rows;
        this.lists = lists;
        this.masks = masks;
        this.maskAddress = maskAddress;
        this.vocabSize = vocabSize;
        this.maskWords = (vocabSize + Long.SIZE - 1) / Long.SIZE;
    }

    /// Bytes of a mask.
    public static long maskBytes(int vocabSize) {
        return (vocabSize + Long.SIZE - 1L) / Long.SIZE * Long.BYTES;
    }

    /// Forgets everything: a new step.
    public void clear() {
        rowCount = 0;
        listWords = 0;
        maskCount = 0;
    }

    public long rowBytes() {
        return rowCount * (long) ROW_BYTES;
    }

    public long listBytes() {
        return listWords * (long) Integer.BYTES;
    }

    public long maskBytes() {
        return maskCount * maskBytes(vocabSize);
    }

    /// How many entries of a list there is still room for.
    public long entriesLeft() {
        return (lists.byteSize() - listBytes()) / (2 * Integer.BYTES);
    }

    /// Begins the description of a row: rows come one after the other, from 0.
    public SampleRows begin(int index) {
        if (index != rowCount) {
            throw new IllegalArgumentException("row " + index + " of the sampling is described after " + rowCount + " rows");
        }
        row = index * (long) ROW_BYTES;
        rowCount++;
        for (long field = 0; field < ROW_BYTES; field += Long.BYTES) {
            rows.set(ValueLayout.JAVA_LONG, row + field, 0);
        }
        set(TOP_P, 1.0);
        set(REPETITION_PENALTY, 1f);
        set(GREEDY, 1);
        set(ALTERNATIVES, -1);
        set(TARGET, -1);
        return this;
    }

    /// Draws by these rules instead of taking the largest.
    ///
    /// @param temperature above 0
    /// @param topK        0 = off
    /// @param topP        1 = off
    /// @param minP        0 = off
    public SampleRows draw(double temperature, int topK, double topP, double minP) {
        if (!(temperature > 0) || topK < 0 || !(topP >= 0) || !(minP >= 0)) {
            throw new IllegalArgumentException("sampling with temperature " + temperature + ", top_k " + topK + ", top_p " + topP
                    + ", min_p " + minP + "; the first is above 0, the others at least 0");
        }
        set(GREEDY, 0);
        set(SCALE, 1 / temperature);
        set(TOP_K, topK);
        set(TOP_P, topP);
        rows.set(ValueLayout.JAVA_LONG, row + LEAST, (long) Math.ceil(minP * HEAVIEST));
        return this;
    }

    /// What the random number is made of.
    ///
    /// @param position of the token that is to be chosen, in its sequence
    public SampleRows random(long seed, int choice, int position) {
        rows.set(ValueLayout.JAVA_LONG, row + SEED, seed);
        set(CHOICE, choice);
        set(POSITION, position);
        return this;
    }

    /// Takes this token whatever the logits are: for its log-probability, and to learn whether the row is finite.
    public SampleRows take(int token) {
        set(TARGET, checked(token));
        return this;
    }

    /// Reports the token's log-probability and this many alternatives.
    public SampleRows logprobs(int alternatives) {
        if (alternatives < 0 || alternatives > Sample.MAX_ALTERNATIVES) {
            throw new IllegalArgumentException("sampling that reports " + alternatives + " alternatives; 0 to " + Sample.MAX_ALTERNATIVES + " are possible");
        }
        set(ALTERNATIVES, alternatives);
        return this;
    }

    /// Only what a mask allows: bit `i % 64` of word `i / 64` stands for token `i`.
    public SampleRows mask(IntToLongFunction words) {
        long at = maskBytes();
        for (int i = 0; i < maskWords; i++) {
            masks.set(ValueLayout.JAVA_LONG, at + i * (long) Long.BYTES, words.applyAsLong(i));
        }
        rows.set(ValueLayout.JAVA_LONG, row + MASK, maskAddress + at);
        maskCount++;
        return this;
    }

    /// @param repetition over the tokens of [#penalty]; 1 = off
    /// @param frequency  for each time that a token was generated; 0 = off
    /// @param presence   for a token that was generated; 0 = off
    public SampleRows penalties(double repetition, double frequency, double presence) {
        set(REPETITION_PENALTY, (float) repetition);
        set(FREQUENCY_PENALTY, frequency);
        set(PRESENCE_PENALTY, presence);
        return this;
    }

    /// A token that the penalties apply to, each once, and how often it was generated.
    public SampleRows penalty(int token, int generated) {
        append(Entries.PENALTY, token, generated);
        return this;
    }

    /// A token, each once, and what is added to its logit; -100 and below bans it.
    public SampleRows bias(int token, float bias) {
        append(Entries.BIAS, token, Float.floatToRawIntBits(bias));
        return this;
    }

    public SampleRows ban(int token) {
        append(Entries.BANNED, token, 0);
        return this;
    }

    /// A token that may come; when a row has any of these, nothing else may.
    public SampleRows allow(int token) {
        append(Entries.ALLOWED, token, 0);
        return this;
    }

    private void append(Entries entries, int token, int value) {
        long field = row + entries.field;
        int count = rows.get(ValueLayout.JAVA_INT, field + Integer.BYTES);
        if (count == 0) {
            rows.set(ValueLayout.JAVA_INT, field, listWords);
        } else if (rows.get(ValueLayout.JAVA_INT, field) + count * entries.words != listWords) {
            throw new IllegalArgumentException("entries of one kind of a row's sampling come one after the other; " + entries + " was interrupted");
        }
        long at = listBytes();
        if (at + entries.words * (long) Integer.BYTES > lists.byteSize()) {
            throw new IllegalStateException("the lists of a step's sampling have " + lists.byteSize() + " bytes, all in use");
        }
        lists.set(ValueLayout.JAVA_INT, at, checked(token));
        if (entries.words == 2) {
            lists.set(ValueLayout.JAVA_INT, at + Integer.BYTES, value);
        }
        listWords += entries.words;
        rows.set(ValueLayout.JAVA_INT, field + Integer.BYTES, count + 1);
    }

    private int checked(int token) {
        if (token < 0 || token >= vocabSize) {
            throw new IllegalArgumentException("sampling names token " + token + "; the vocabulary has " + vocabSize);
        }
        return token;
    }

    private void set(long field, int value) {
        rows.set(ValueLayout.JAVA_INT, row + field, value);
    }

    private void set(long field, float value) {
        rows.set(ValueLayout.JAVA_FLOAT, row + field, value);
    }

    private void set(long field, double value) {
        rows.set(ValueLayout.JAVA_DOUBLE, row + field, value);
    }
}
