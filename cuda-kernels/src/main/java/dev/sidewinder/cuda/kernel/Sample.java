package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.Stream;

/// Launches `sample.cu`: chooses a token from each row of logits, the same token as the CPU's sampler, and hands it to the
/// next step.
///
/// The outcome of a row depends on its logits and parameters alone, not on the threads of a block, nor on the other rows.
/// Asynchronous: buffers stay alive until the stream has passed.
public final class Sample {

    /// Most alternatives that a row reports beside its token.
    public static final int MAX_ALTERNATIVES = 20;

    /// A bitmap and a weight per chunk of this many tokens stand in a block's shared memory: 24 KiB at 131,072 tokens,
    /// beside 32 KiB for the rest. Up to here they fit into the 227 KiB of a Hopper multiprocessor.
    public static final int LARGEST_VOCABULARY = 1 << 19;

    private static final String FAMILY = "sample";
    private static final int WARP = 32;
    private static final int CHUNK = 4 * WARP;
    private static final int BUCKETS = 2048;
    /// The registers of this many threads hold what a pass needs without spills.
    private static final int MOST_THREADS = 512;
    /// Cuts are prepared by 2048 buckets. A bucket of real logits holds some dozens of tokens at the cut; with near-equal
    /// ones it may hold all, and is divided again.
    private static final int CAPACITY = 2048;
    private static final int NEXT_STEP_THREADS = 128;

    /// Addresses of a step's sampling. All arrays have an element per row unless said otherwise.
    ///
    /// @param results what [SampleResults] reads: [SampleResults#ROW_BYTES] per row
    /// @param tokens  int32, out: the token; -1 where none was chosen
    /// @param logits  fp32 `[rows, stride]`, in; changed on the way and restored
    /// @param stride  values from one row to the next, at least the vocabulary; rows at multiples of 16 bytes are read
    ///                in vectors
    /// @param rows    what [SampleRows] wrote
    /// @param lists   what it wrote beside that
    /// @param saved   scratch, as many bytes as `lists` has
    /// @param slots   int32: -1 = padded row
    public record Tensors(long results, long tokens, long logits, long stride, long rows, long lists, long saved, long slots) {

        public Tensors {
            if (results == 0 || tokens == 0 || logits == 0 || rows == 0 || lists == 0 || saved == 0 || slots == 0) {
                throw new IllegalArgumentException("sampling without one of its arrays");
            }
        }
    }

    /// Addresses of what the next step begins with, int32, an element per row of the next step unless said otherwise.
    ///
    /// @param inputIds  token to run; in and out: stays where `source` is -1
    /// @param slots     becomes -1 where the source row has no token: the row is a padded one then
    /// @param tokens    of the step before: `tokens` of [Tensors]
    /// @param source    the row of the step before that the row goes on with; -1 = none, the host wrote the row
    public record NextStep(long inputIds, long slots, long tokens, long source) {

        public NextStep {
            if (inputIds == 0 || slots == 0 || tokens == 0 || source == 0) {
                throw new IllegalArgumentException("a next step without one of its arrays");
            }
            if (inputIds == tokens) {
                throw new IllegalArgumentException("a next step that overwrites what it reads of the step before");
            }
        }
    }

    private final Kernel sample;
    private final Kernel nextStep;
    private final int vocabSize;
    private final int threads;
    private final int capacity;
    private final int sharedBytes;

    public Sample(Kernels kernels, int vocabSize) {
        this(kernels, vocabSize, MOST_THREADS, CAPACITY);
    }

    /// With other sizes than the quickest: what comes out is the same.
    ///
    /// @param threads  of a block: 32 to 512, a power of two
    /// @param capacity tokens around a cut that a block sorts at once: a power of two, at least `threads`
    public Sample(Kernels kernels, int vocabSize, int threads, int capacity) {
        if (vocabSize < 1 || vocabSize > LARGEST_VOCABULARY) {
            throw new IllegalArgumentException("sampling from a vocabulary of " + vocabSize + " tokens; it may have 1 to " + LARGEST_VOCABULARY);
        }
        if (Integer.bitCount(threads) != 1 || threads < WARP || threads > MOST_THREADS || Integer.bitCount(capacity) != 1 || capacity < threads) {
            throw new IllegalArgumentException("sampling with " + threads + " threads and room for " + capacity
                    + " tokens; both are powers of two, the threads 32 to " + MOST_THREADS + ", the room at least as many");
        }
        this.sample = kernels.get(FAMILY, "sample");
        this.nextStep = kernels.get(FAMILY, "next_step");
        this.vocabSize = vocabSize;
        this.threads = threads;
        this.capacity = capacity;
        this.sharedBytes = sharedBytes(vocabSize, capacity);
    }

    /// As `Workspace` in `sample.cu` lays it out.
    private static int sharedBytes(int vocabSize, int capacity) {
        int chunks = (vocabSize + CHUNK - 1) / CHUNK;
        return capacity * Long.BYTES + chunks * Long.BYTES + 2 * BUCKETS * Integer.BYTES + chunks * (CHUNK / Byte.SIZE);
    }

    public int vocabSize() {
        return vocabSize;
    }

    /// Chooses a token for each of the first rows.
    public void choose(Stream stream, Tensors tensors, int rows) {
        if (rows < 1 || tensors.stride() < vocabSize) {
            throw new IllegalArgumentException("sampling of " + rows + " rows of " + tensors.stride() + " logits; it needs a row and "
                    + vocabSize + " logits");
        }
        sample.arguments().pointer(tensors.results()).pointer(tensors.tokens()).pointer(tensors.logits()).pointer(tensors.saved())
                .pointer(tensors.rows()).pointer(tensors.slots()).pointer(tensors.lists())
                .int32(vocabSize).int64(tensors.stride()).int32(capacity)
                .launch(stream, LaunchShape.of(rows, threads).withShared(sharedBytes));
    }

    /// Writes tokens of the next step's first rows. The host knows their positions without.
    public void handOver(Stream stream, NextStep next, int rows) {
        if (rows < 1) {
            throw new IllegalArgumentException("a next step of " + rows + " rows; it needs one");
        }
        nextStep.arguments().pointer(next.inputIds()).pointer(next.slots()).pointer(next.tokens()).pointer(next.source()).int32(rows)
                .launch(stream, LaunchShape.of((rows + NEXT_STEP_THREADS - 1) / NEXT_STEP_THREADS, NEXT_STEP_THREADS));
    }
}
