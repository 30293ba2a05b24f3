package dev.sidewinder.engine.cpu;

import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.SlotPositions;
import dev.sidewinder.kvcache.Allocation;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.checkpoint.WeightReader;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// The forward pass on the CPU.
///
/// A row of logits depends, bit for bit, on the tokens of its own sequence only: not on what else is in the batch, not on
/// how the sequence was cut, not on the number of threads. Owned by one thread at a time; close it before the model whose
/// weights it reads.
public final class CpuBackend implements Backend {

    private final ModelConfig config;
    private final BackendMemory shape;
    /// Slots and blocks that entries may name.
    private final CacheShape places;
    private final CpuOptions options;
    private final NativeMemory memory = new NativeMemory();
    private final CacheMemory cache;
    private final WorkerPool pool;
    private final CpuMath math;
    private final String products;
    private final CpuRuntime runtime;
    private final Embedding embedding;
    private final Layer[] layers;
    private final RmsNorm finalNorm;
    private final Linear head;
    private final SourceRows headRows;
    private final float[] residual;
    private final SlotPositions positions;
    private final ExpertLoad expertLoad;
    private long steps;
    private Optional<DnnlKernels> dnnl = Optional.empty();
    private float[] logits = new float[0];
    private boolean closed;

    /// Loads what a backend in `bf16` needs from outside Java, so that building one later takes less time. May run on any
    /// thread beside other start-up work; what fails here fails again, with its message, when a backend is built.
    public static void preload() {
        try {
            DnnlLibrary.open();
        } catch (IllegalStateException e) {
            System.getLogger(CpuBackend.class.getName()).log(System.Logger.Level.DEBUG, "oneDNN was not preloaded", e);
        }
    }

    /// Whether [Arithmetic#FP8] makes a difference for these weights.
    public static boolean takesFp8Activations(ModelWeights weights) {
        return LinearInventory.of(weights).matrices().stream().anyMatch(Fp8Linear::isFor);
    }

    /// Builds the backend and prepares the weights.
    ///
    /// @param weights stay mapped and may be read during `forward`
    /// @param shape   frames and host area to hold memory for; see [CpuCacheLayout#frames]
    public CpuBackend(ModelConfig config, ModelWeights weights, BackendMemory shape, CpuOptions options, LoadProgress progress) {
        this(config, weights, shape, new CacheShape(shape.frames().blocks(), shape.frames().frames()), options, progress);
    }

    /// The same for slots and blocks that are counted apart: the slots are the last frames, the blocks lie in those before.
    public CpuBackend(ModelConfig config, ModelWeights weights, CacheShape places, CpuOptions options, LoadProgress progress) {
        this(config, weights, new BackendMemory(
                CpuCacheLayout.of(config, options.arithmetic()).frames(places.slots(), places.blocks()), HostShape.NONE), places,
                options, progress);
    }

    private CpuBackend(ModelConfig config, ModelWeights weights, BackendMemory shape, CacheShape places, CpuOptions options,
            LoadProgress progress) {
        this.config = config;
        this.shape = shape;
        this.places = places;
        this.options = options;
        boolean complete = false;
        pool = new WorkerPool(options.threads());
        try {
            math = options.products() == CpuOptions.Products.SCALAR ? ScalarMath.INSTANCE : CpuMath.best();
            var inventory = LinearInventory.of(weights);
            products = chooseProducts(inventory);
            cache = new CacheMemory(memory, CpuCacheLayout.of(config, options.arithmetic()), shape,
                    shape.frames().frames() - places.slots());
            runtime = runtime(inventory, progress);
            embedding = new Embedding(math, weights.embeddings(), config.hiddenSize(), config.vocabSize());
            residual = runtime.workspace().floats("residual", 1, config.hiddenSize());
            layers = new Layer[config.layers().size()];
            for (int i = 0; i < layers.length; i++) {
                layers[i] = layer(i, weights.layers().get(i));
                runtime.loader().prepare();
            }
            finalNorm = norm(WeightReader.vector(weights.finalNorm()));
            head = runtime.loader().load(weights.head());
            runtime.loader().prepare();
            headRows = runtime.workspace().sources("normed", 1, config.hiddenSize());
            positions = new SlotPositions(shape.frames().frames(), shape.host().states());
            expertLoad = ExpertLoad.of(config);
            complete = true;
        } finally {
            if (!complete) {
                close();
            }
        }
    }

    /// Decides how the large products run, and says so.
    private String chooseProducts(LinearInventory inventory) {
        if (options.arithmetic() != Arithmetic.BF16 || options.products() != CpuOptions.Products.BEST) {
            return math.description();
        }
        try {
            DnnlKernels kernels = DnnlKernels.open(inventory.tileShapes(), pool, memory, math);
            dnnl = Optional.of(kernels);
            return kernels.description();
        } catch (DnnlUnavailableException e) {
            return math.description() + " (not oneDNN: " + e.getMessage() + ")";
        }
    }

    private CpuRuntime runtime(LinearInventory inventory, LoadProgress progress) {
        Arithmetic arithmetic = options.arithmetic();
        var forms = ProductForms.of(arithmetic, dnnl.isPresent());
        return new CpuRuntime(pool, math, memory, cache, new ProductRegion(pool, math, memory),
                new Workspace(memory, math, forms, options.maxBatchTokens()),
                new LinearLoader(pool, memory, math, arithmetic, dnnl,
                        LinearLoader.preparedBytes(inventory, arithmetic), progress),
                arithmetic, options.maxBatchTokens());
    }

    private Layer layer(int index, LayerWeights weights) {
        RmsNorm norm = norm(WeightReader.vector(weights.norm()));
        return switch (config.layers().get(index)) {
            case LayerSpec.Mamba mamba -> new MambaLayer(runtime, mamba, norm, (LayerWeights.Mamba) weights,
                    config.normEpsilon(), index);
            case LayerSpec.Experts experts ->
                new ExpertsLayer(runtime, experts, norm, (LayerWeights.Experts) weights, config.hiddenSize());
            case LayerSpec.Attention attention ->
                new AttentionLayer(runtime, attention, norm, (LayerWeights.Attention) weights, index);
            case LayerSpec.Mlp mlp -> new MlpLayer(runtime, norm, (LayerWeights.Mlp) weights);
        };
    }

    private RmsNorm norm(float[] weight) {
        return new RmsNorm(math, weight, config.normEpsilon(), pool.workers());
    }

    @Override
    public BackendMemory memory() {
        return shape;
    }

    /// One recurrence, token by token, serves prompts and single tokens alike.
    @Override
    public boolean decodeEqualsScan() {
        return true;
    }

    @Override
    public String cacheFormat() {
        return "cpu, " + options.arithmetic().name().toLowerCase(Locale.ROOT) + " arithmetic, " + cache.layout().describe();
    }

    @Override
    public void erase(Allocation memory) {
        cache.erase(memory);
    }

    @Override
    public MemorySegment hostState(int place) {
        MemorySegment state = cache.hostState(place);
        positions.hostWritten(place);
        return state;
    }

    @Override
    public MemorySegment hostBlock(int place) {
        return cache.hostBlock(place);
    }

    @Override
    public void clearBehind(MemorySegment block, int tokens) {
        cache.layout().clearBehind(config, block, tokens);
    }

    @Override
    public int vocabSize() {
        return config.vocabSize();
    }

    /// Largest number of tokens [#forward] takes.
    public int maxBatchTokens() {
        return options.maxBatchTokens();
    }

    @Override
    public Logits forward(Batch batch) {
        if (batch.tokens() > options.maxBatchTokens()) {
            throw new IllegalArgumentException("a batch of " + batch.tokens() + " tokens; this backend was planned for "
                    + options.maxBatchTokens());
        }
        cache.before(batch.memory());
        positions.before(batch.memory());
        Step step = begin(batch);
        if (step.rows() > 0) {
            for (Layer layer : layers) {
                layer.forward(step);
            }
        }
        Logits result = logits(batch, step);
        cache.after(batch.memory());
        positions.advance(batch);
        steps++;
        if (expertLoad.isDue(steps)) {
            recordExpertLoad();
        }
        return result;
    }

    @Override
    public void idle() {
        if (expertLoad.isBehind(steps)) {
            recordExpertLoad();
        }
    }

    private void recordExpertLoad() {
        expertLoad.record(steps, Arrays.stream(layers).filter(ExpertsLayer.class::isInstance)
                .map(layer -> ((ExpertsLayer) layer).expertTokens()).toArray(long[][]::new));
    }

    @Override
    public Optional<ExpertLoad> expertLoad() {
        return Optional.of(expertLoad);
    }

    /// Checks the batch and looks its tokens up.
    private Step begin(Batch batch) {
        List<BatchEntry> entries = batch.entries();
        int[] firstRow = new int[entries.size()];
        int rows = 0;
        for (int i = 0; i < firstRow.length; i++) {
            BatchEntry entry = entries.get(i);
            positions.check(entry, places);
            firstRow[i] = rows;
            for (int token = 0; token < entry.count(); token++) {
                embedding.lookUp(entry.tokens()[entry.from() + token], residual, rows++);
            }
        }
        return new Step(residual, entries, firstRow, rows);
    }

    private Logits logits(Batch batch, Step step) {
        int rows = 0;
        for (int i = 0; i < step.entries().size(); i++) {
            BatchEntry entry = step.entries().get(i);
            int end = step.firstRow()[i] + entry.count();
            for (int row = end - entry.logitRows(); row < end; row++) {
                finalNorm.apply(residual, row, headRows, rows++, 0);
            }
        }
        int needed = Math.multiplyExact(rows, config.vocabSize());
        if (logits.length < needed) {
            logits = new float[needed];
        }
        if (rows > 0) {
            runtime.products().addStore(head, headRows, 0, rows, logits, 0);
            runtime.products().run();
        }
        return new Logits(logits, rows, config.vocabSize(), FiniteRows.spoiled(step, config.hiddenSize()));
    }

    @Override
    public String description() {
        return "cpu, " + options.arithmetic().name().toLowerCase(Locale.ROOT) + " arithmetic, " + pool.workers()
                + " threads; products: " + products + "; loops: " + math.description();
    }

    /// Ends the pool's threads and gives all memory back. Idempotent.
    @Override
    public void close() {
        if (closed) {
            return;
        }
        closed = true;
        pool.close();
        dnnl.ifPresent(DnnlKernels::close);
        memory.close();
    }
}
