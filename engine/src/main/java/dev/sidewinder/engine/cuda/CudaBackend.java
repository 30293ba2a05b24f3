package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.SlotPositions;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Arrays;
import java.util.Deque;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.TreeMap;

/// The forward pass on a CUDA device, through our own kernels.
///
/// A step has up to two passes: one over the generated tokens, a row for each sequence, and one over the pieces of prompts.
/// The first is captured as a graph for each batch size of [DecodeBuckets] when the backend is built: a step then costs one
/// launch, and the device memory that the driver takes for graphs is taken at start like all other. All memory is planned and
/// allocated at start; a step allocates none on the device.
///
/// With `batchInvariant` a row of logits depends, bit for bit, on the tokens of its own sequence and on which of them were its
/// prompt, neither on what else is in the batch nor on how the prompt was cut. Without, attention of generated tokens is
/// spread by what else runs, and the last bits depend on that.
///
/// Used by one thread at a time, the one that closes it included; close it before the model whose weights it was built from.
public final class CudaBackend implements Backend {

    private final ModelConfig config;
    private final CacheShape cacheShape;
    private final CudaOptions options;
    private final CudaDevice cuda;
    private final Stream stream;
    private final SlotPositions positions;
    /// What gives back everything that was made, the newest first.
    private final Deque<Runnable> closing = new ArrayDeque<>();
    private final CudaMemory memory;
    private final StepTables decodes;
    private final StepTables prompts;
    private final PinnedMemory decodeLogits;
    private final PinnedMemory promptLogits;
    private final Map<Integer, CudaGraph> graphs = new TreeMap<>();
    private final Map<Integer, Integer> graphKernels = new TreeMap<>();
    private final ExpertLoad expertLoad;
    private final ExpertCounters expertCounters;
    private Thread thread = Thread.currentThread();
    private float[] logits = new float[0];
    /// The row of the result for each row of the decode pass (-1: none), and for each wanted row of the prompt pass.
    private final int[] decodeTarget;
    private final int[] promptTarget;
    private int decodeSequences;
    private long steps;
    private boolean closed;

    /// Builds the backend: allocates, uploads the weights, captures the graphs.
    ///
    /// @param cuda       taken over, and closed also when this fails
    /// @param cacheShape KV blocks and state slots to hold memory for
    public CudaBackend(CudaDevice cuda, ModelConfig config, ModelWeights weights, CacheShape cacheShape, CudaOptions options,
            LoadProgress progress) {
        this.config = config;
        this.cacheShape = cacheShape;
        this.options = options;
        this.cuda = cuda;
        closing.push(cuda::close);
        try {
            Device device = cuda.device();
            stream = device.stream();
            positions = new SlotPositions(cacheShape.slots());
            memory = CudaMemory.allocate(cuda, config, weights, cacheShape, options,
                    buffer -> closing.push(buffer::close), progress);
            decodes = new StepTables(device, memory.decodeTables(), memory.decodeSize());
            closing.push(decodes::close);
            prompts = new StepTables(device, memory.promptTables(), memory.promptSize());
            closing.push(prompts::close);
            decodeLogits = pinned(device, options.decodeRows());
            promptLogits = pinned(device, CudaMemory.LOGIT_ROWS);
            decodeTarget = new int[options.decodeRows()];
            promptTarget = new int[options.maxBatchTokens()];
            if (options.graphs()) {
                capture();
            }
            expertLoad = ExpertLoad.of(config);
            expertCounters = new ExpertCounters(device, expertLoad, memory.weights());
            closing.push(expertCounters::close);
            stream.synchronize();
        } catch (RuntimeException | Error failure) {
            try {
                close();
            } catch (RuntimeException alsoFailed) {
                failure.addSuppressed(alsoFailed);
            }
            throw failure;
        }
    }

    private PinnedMemory pinned(Device device, int rows) {
        PinnedMemory rowsOfLogits = device.pinned(rows * rowBytes());
        closing.push(rowsOfLogits::close);
        return rowsOfLogits;
    }

    private void capture() {
        for (int rows : DecodeBuckets.upTo(options.maxSequences())) {
            long launches = cuda.device().launches();
            CudaGraph graph = stream.capture(() -> launchDecode(rows));
            graphKernels.put(rows, (int) (cuda.device().launches() - launches));
            closing.push(graph::close);
            graphs.put(rows, graph);
            graph.upload(stream);
        }
    }

    /// How many kernels a step runs that generates a token for so many sequences; empty without graphs.
    public OptionalInt kernelsPerStep(int sequences) {
        Integer kernels = graphKernels.get(DecodeBuckets.of(sequences));
        return kernels == null ? OptionalInt.empty() : OptionalInt.of(kernels);
    }

    @Override
    public CacheShape cacheShape() {
        return cacheShape;
    }

    @Override
    public int vocabSize() {
        return config.vocabSize();
    }

    @Override
    public Logits forward(Batch batch) {
        if (batch.tokens() > options.maxBatchTokens()) {
            throw new IllegalArgumentException("a batch of " + batch.tokens() + " tokens; this backend was planned for "
                    + options.maxBatchTokens());
        }
        claimDevice();
        decodeSequences = 0;
        int rows = begin(batch);
        if (decodes.sequences() > 0) {
            decode();
        }
        if (prompts.sequences() > 0) {
            prompt();
        }
        stream.synchronize();
        takeDecodeLogits();
        positions.advance(batch);
        steps++;
        expertCounters.look(steps);
        return new Logits(logits, rows, config.vocabSize());
    }

    /// The thread that loads a model is not the one that runs it.
    private void claimDevice() {
        if (Thread.currentThread() != thread) {
            cuda.device().moveToThisThread();
            thread = Thread.currentThread();
        }
    }

    /// Checks the batch and sorts its entries into the two passes.
    ///
    /// @return rows of logits over all entries
    private int begin(Batch batch) {
        decodes.clear();
        prompts.clear();
        int rows = 0;
        for (BatchEntry entry : batch.entries()) {
            positions.check(entry, cacheShape);
            boolean generated = entry.source() == TokenSource.GENERATED;
            if (!generated && entry.from() % CacheShape.BLOCK_TOKENS != 0) {
                throw new IllegalArgumentException("sequence " + entry.sequence() + ": a piece of a prompt from token "
                        + entry.from() + " on; prompts are cut at multiples of " + CacheShape.BLOCK_TOKENS);
            }
            if (generated) {
                decodes.add(entry, config.vocabSize());
                decodeTarget[decodes.sequences() - 1] = entry.logitRows() > 0 ? rows++ : -1;
            } else {
                int wanted = prompts.logitRows();
                prompts.add(entry, config.vocabSize());
                while (wanted < prompts.logitRows()) {
                    promptTarget[wanted++] = rows++;
                }
            }
        }
        int needed = Math.multiplyExact(rows, config.vocabSize());
        if (logits.length < needed) {
            logits = new float[needed];
        }
        return rows;
    }

    private void decode() {
        decodeSequences = decodes.sequences();
        int rows = DecodeBuckets.of(decodeSequences);
        decodes.pad(rows);
        decodes.upload(stream);
        if (options.graphs()) {
            graphs.get(rows).launch(stream);
        } else {
            launchDecode(rows);
        }
        if (Arrays.stream(decodeTarget, 0, decodeSequences).anyMatch(target -> target >= 0)) {
            stream.copyToHost(decodeLogits.segment(), memory.decodeLogits(), decodeSequences * rowBytes());
        }
    }

    /// What a graph holds: from the step tables to logits of every row.
    private void launchDecode(int rows) {
        memory.network().launch(new Pass.Decode(decodes.decode(rows), rows), decodes.tokens());
        memory.network().launchHead(memory.decodeLogits(), 0, rows);
    }

    private void prompt() {
        prompts.upload(stream);
        memory.network().launch(new Pass.Prompt(prompts.prompts(), prompts.rows()), prompts.tokens());
        for (int first = 0; first < prompts.logitRows(); first += CudaMemory.LOGIT_ROWS) {
            int rows = Math.min(CudaMemory.LOGIT_ROWS, prompts.logitRows() - first);
            memory.network().launchHead(memory.promptLogits(), prompts.logitRow(first), rows);
            stream.copyToHost(promptLogits.segment(), memory.promptLogits(), rows * rowBytes());
            stream.synchronize();
            for (int row = 0; row < rows; row++) {
                take(promptLogits.segment(), row, promptTarget[first + row]);
            }
        }
    }

    private void takeDecodeLogits() {
        for (int row = 0; row < decodeSequences; row++) {
            if (decodeTarget[row] >= 0) {
                take(decodeLogits.segment(), row, decodeTarget[row]);
            }
        }
    }

    private void take(MemorySegment rows, int row, int target) {
        MemorySegment.copy(rows, JAVA_FLOAT, row * rowBytes(), logits, target * config.vocabSize(), config.vocabSize());
    }

    private long rowBytes() {
        return (long) config.vocabSize() * Float.BYTES;
    }

    @Override
    public void idle() {
        claimDevice();
        expertCounters.settle(steps);
    }

    @Override
    public Optional<ExpertLoad> expertLoad() {
        return Optional.of(expertLoad);
    }

    @Override
    public String description() {
        return "cuda, " + cuda.description() + "; keys and values in "
                + options.kvFormat().name().toLowerCase(Locale.ROOT) + "; decode "
                + (options.graphs() ? "as graphs of " + graphs.keySet() + " rows" : "without graphs")
                + (options.batchInvariant() ? ", batch-invariant" : "");
    }

    /// Gives the device back. Idempotent.
    @Override
    public void close() {
        if (closed) {
            return;
        }
        claimDevice();
        closed = true;
        while (!closing.isEmpty()) {
            closing.pop().run();
        }
    }
}
