package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Event;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.BlasProducts;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.SlotPositions;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;
import java.lang.foreign.MemorySegment;
import java.util.ArrayDeque;
import java.util.Deque;
import java.util.Locale;
import java.util.Optional;
import java.util.OptionalInt;

/// The forward pass on a CUDA device, through our own kernels.
///
/// A step is one pass over the weights: over generated tokens, a row for each sequence, over pieces of prompts, or over both.
/// The first kind is captured as a graph for each batch size of [DecodeBuckets] when the backend is built: a step then costs one
/// launch, and the device memory that the driver takes for graphs is taken at start like all other. All memory is planned and
/// allocated at start; a step allocates none on the device.
///
/// With `batchInvariant` a row of logits depends, bit for bit, on the tokens of its own sequence and on which of them were its
/// prompt, neither on what else is in the batch nor on how the prompt was cut. Without, attention of generated tokens is
/// spread by what else runs, and their products may run on the kernels of prompts beside them: the last bits depend on that.
///
/// Used by one thread at a time, the one that closes it included; close it before the model whose weights it was built from.
public final class CudaBackend implements Backend {

    private final ModelConfig config;
    private final BackendMemory shape;
    /// Slots and blocks that entries may name.
    private final CacheShape places;
    private final CudaOptions options;
    private final CudaDevice cuda;
    private final Stream stream;
    private final SlotPositions positions;
    /// What gives back everything that was made, the newest first.
    private final Deque<Runnable> closing = new ArrayDeque<>();
    private final CudaMemory memory;
    private final CacheLayout layout;
    private final CudaFrames frames;
    private final StepPasses passes;
    /// They take turns: one may be launched before the other has been awaited.
    private final CudaStep[] turns;
    private final ExpertLoad expertLoad;
    private final ExpertCounters expertCounters;
    private Thread thread = Thread.currentThread();
    private long steps;
    private boolean closed;

    /// Frames in which so many sequences have a state each, and so many blocks together, and no room on the host.
    public static BackendMemory memory(ModelConfig config, KvFormat format, int sequences, int blocks) {
        return new BackendMemory(CacheLayout.of(config, format).frames(sequences, blocks), HostShape.NONE);
    }

    /// Builds the backend: allocates, uploads the weights, captures the graphs.
    ///
    /// @param cuda  taken over, and closed also when this fails
    /// @param shape frames and host area to hold memory for
    public CudaBackend(CudaDevice cuda, ModelConfig config, ModelWeights weights, BackendMemory shape, CudaOptions options,
            LoadProgress progress) {
        this(cuda, config, weights, shape, new CacheShape(shape.frames().blocks(), shape.frames().frames()), options, progress);
    }

    /// The same for slots and blocks that are counted apart: the slots are the last frames, the blocks lie in those before.
    public CudaBackend(CudaDevice cuda, ModelConfig config, ModelWeights weights, CacheShape places, CudaOptions options,
            LoadProgress progress) {
        this(cuda, config, weights, new BackendMemory(
                CacheLayout.of(config, options.kvFormat()).frames(places.slots(), places.blocks()), HostShape.NONE), places,
                options, progress);
    }

    private CudaBackend(CudaDevice cuda, ModelConfig config, ModelWeights weights, BackendMemory shape, CacheShape places,
            CudaOptions options, LoadProgress progress) {
        this.config = config;
        this.shape = shape;
        this.places = places;
        this.options = options;
        this.cuda = cuda;
        closing.push(cuda::close);
        try {
            Device device = cuda.device();
            stream = device.stream();
            positions = new SlotPositions(shape.frames().frames(), shape.host().states());
            layout = CacheLayout.of(config, options.kvFormat());
            int firstSlot = shape.frames().frames() - places.slots();
            memory = CudaMemory.allocate(cuda, config, weights, shape, firstSlot, options,
                    buffer -> closing.push(buffer::close), progress);
            frames = new CudaFrames(device, layout, shape, memory.frames(), firstSlot);
            closing.push(frames::close);
            passes = new StepPasses(device, memory, options, config.vocabSize(), closing::push);
            turns = makeSteps(device);
            expertLoad = ExpertLoad.withWork(config);
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

    private CudaStep[] makeSteps(Device device) {
        var hostLogits = new HostLogits(device, options.decodeRows(), config.vocabSize());
        closing.push(hostLogits::close);
        Optional<DeviceSampler> sampler = memory.sampling().map(plan -> new DeviceSampler(device, plan));
        sampler.ifPresent(made -> closing.push(made::close));
        var shared = new CudaStep.Shared(stream, frames, passes, memory, hostLogits, sampler, options.sampling() == Sampling.AHEAD,
                config.vocabSize());
        var made = new CudaStep[2];
        for (int i = 0; i < made.length; i++) {
            Event done = device.newEvent();
            closing.push(done::close);
            PinnedMemory spoiled = device.pinned(CudaStep.spoiledBytes(options));
            closing.push(spoiled::close);
            made[i] = new CudaStep(shared, done, spoiled, options, places.slots());
        }
        return made;
    }

    /// How many kernels the graph has of a step that generates a token for so many sequences; empty without graphs.
    public OptionalInt kernelsPerStep(int sequences) {
        return passes.kernelsPerStep(sequences);
    }

    @Override
    public BackendMemory memory() {
        return shape;
    }

    /// A scan sums in another order than steps of one token.
    @Override
    public boolean decodeEqualsScan() {
        return false;
    }

    @Override
    public String cacheFormat() {
        return "cuda, " + layout.describe() + ", keys and values in " + options.kvFormat().name().toLowerCase(Locale.ROOT);
    }

    @Override
    public boolean isBatchInvariant() {
        return options.batchInvariant();
    }

    @Override
    public void erase(Allocation memory) {
        claimDevice();
        frames.erase(memory);
    }

    @Override
    public MemorySegment hostState(int place) {
        MemorySegment state = frames.hostState(place);
        positions.hostWritten(place);
        return state;
    }

    @Override
    public MemorySegment hostBlock(int place) {
        return frames.hostBlock(place);
    }

    @Override
    public void clearBehind(MemorySegment block, int tokens) {
        layout.clearBehind(config, options.kvFormat(), block, tokens);
    }

    @Override
    public int vocabSize() {
        return config.vocabSize();
    }

    @Override
    public Logits forward(Batch batch) {
        return launchStep(batch).logits();
    }

    @Override
    public LaunchedStep launch(Batch batch) {
        return launchStep(batch);
    }

    private CudaStep launchStep(Batch batch) {
        positions.before(batch.memory());
        check(batch);
        claimDevice();
        CudaStep before = turns[(int) steps & 1];
        if (before.isUnderWay() && !before.allowsNext()) {
            throw new IllegalStateException("a step launched behind one that has not been awaited and does not allow it");
        }
        CudaStep step = turns[(int) (steps + 1) & 1];
        step.launch(batch, before);
        steps++;
        positions.advance(batch);
        expertCounters.look(steps);
        return step;
    }

    private void check(Batch batch) {
        if (batch.tokens() > options.maxBatchTokens()) {
            throw new IllegalArgumentException("a batch of " + batch.tokens() + " tokens; this backend was planned for "
                    + options.maxBatchTokens());
        }
        for (BatchEntry entry : batch.entries()) {
            positions.check(entry, places);
            int inBlock = entry.from() % CacheShape.BLOCK_TOKENS;
            if (entry.source() == TokenSource.PROMPT && inBlock > 0 && inBlock + entry.count() > CacheShape.BLOCK_TOKENS) {
                throw new IllegalArgumentException("sequence " + entry.sequence() + ": a piece of a prompt from token "
                        + entry.from() + " on, " + entry.count() + " tokens; prompts are cut at multiples of " + CacheShape.BLOCK_TOKENS
                        + ", and one that goes on elsewhere ends at the next at the latest");
            }
        }
    }

    /// The thread that loads a model is not the one that runs it.
    private void claimDevice() {
        if (Thread.currentThread() != thread) {
            cuda.device().moveToThisThread();
            thread = Thread.currentThread();
        }
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
                + passes.description() + "; " + samplingDescription() + "; prompts on "
                + (onWarpgroups() ? "warpgroup kernels" : "portable kernels")
                + blas().map(used -> "; cuBLAS " + used.version() / 10000 + "." + used.version() % 10000 / 100
                        + " for the products it is quicker at").orElse("")
                + (options.batchInvariant() ? ", batch-invariant" : "");
    }

    private String samplingDescription() {
        return switch (options.sampling()) {
            case HOST -> "tokens chosen on the host";
            case DEVICE -> "tokens chosen on the device";
            case AHEAD -> "tokens chosen on the device, steps launched ahead";
        };
    }

    private Optional<BlasProducts> blas() {
        return cuda.blas().filter(_ -> !options.batchInvariant());
    }

    /// What matrices these kernels do not take run on the portable ones.
    private boolean onWarpgroups() {
        return options.warpgroups() && cuda.device().info().hasWarpgroupProducts();
    }

    /// Gives the device back. Idempotent.
    @Override
    public void close() {
        if (closed) {
            return;
        }
        claimDevice();
        closed = true;
        waitForTheLast();
        while (!closing.isEmpty()) {
            closing.pop().run();
        }
    }

    /// Nothing that is given back below may still be copied from or to.
    private void waitForTheLast() {
        try {
            stream.synchronize();
        } catch (CudaException e) {
            // The device has failed, and whoever used it knows. Nothing is copied any more.
        }
    }
}
