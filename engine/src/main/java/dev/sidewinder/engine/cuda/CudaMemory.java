package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.cuda.kernel.Sm90Linear;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.model.config.ModelConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.function.Consumer;
import java.util.stream.Stream;

/// All device memory of a backend, and what lies where in it. Allocated once, at start.
///
/// @param weights       where they lie
/// @param network       the layers
/// @param frames        address of the first frame of states and KV blocks
/// @param decodeTables  memory of the step tables of decode steps
/// @param promptTables  of passes over prompts
/// @param sampling      where sampling lies; absent when the host chooses
/// @param decodeLogits  fp32 `[decode rows, vocabulary]`; of a step with prompts too, behind its generated tokens, up to
///                      [#LOGIT_ROWS] rows of these
/// @param promptLogits  fp32 `[LOGIT_ROWS, vocabulary]`, right behind those
record CudaMemory(DeviceWeights weights, CudaNetwork network, long frames, StepTables.Size decodeSize, long decodeTables,
        StepTables.Size promptSize, long promptTables, Optional<DeviceSampler.Plan> sampling, long decodeLogits,
        long promptLogits) {

    /// Rows of logits that a pass over prompts computes at once: one row of tiles of the matrix product.
    static final int LOGIT_ROWS = 128;

    /// Products that are shared out over blocks keep partial sums; more than this is not worth its memory.
    static final long MOST_PRODUCT_BYTES = 64L << 20;

    /// How much workspace a model needs with these options. The same steps as for real, without memory.
    static long counted(CudaDevice device, ModelConfig config, DeviceWeights weights, CudaOptions options) {
        Workspace workspace = Workspace.counting();
        plan(device, config, weights, options, workspace, Frames.WITHOUT_MEMORY, ProductMemory.NONE);
        return workspace.keptBytes() + workspace.scratchBytes() + productBytes(device, config, weights, options);
    }

    /// All of it without memory but for split products, with addresses that look like real ones. A step that is launched from
    /// it can be captured and looked at, and may not run.
    static CudaMemory withoutMemory(CudaDevice device, ModelConfig config, DeviceWeights weights, CudaOptions options,
            DeviceBuffer products) {
        return plan(device, config, weights, options, Workspace.counting(), Frames.WITHOUT_MEMORY,
                new ProductMemory(products.address(), Math.min(products.bytes(), productBytes(device, config, weights, options))));
    }

    /// Scratch memory of split products.
    private record ProductMemory(long address, long bytes) {
        static final ProductMemory NONE = new ProductMemory(0, 0);
    }

    /// Where states and KV blocks lie.
    ///
    /// @param firstSlot frame of slot 0
    private record Frames(long address, int firstSlot, long strideBytes) {
        static final Frames WITHOUT_MEMORY = new Frames(WeightSink.ALIGNMENT, 0, WeightSink.ALIGNMENT);

        long slots() {
            return address + firstSlot * strideBytes;
        }
    }

    /// Allocates everything and uploads the weights.
    ///
    /// @param firstSlot frame of slot 0: 0, unless slots and blocks are counted apart
    /// @param owner     takes every buffer over at once, so that none is lost when a later step fails
    static CudaMemory allocate(CudaDevice cuda, ModelConfig config, ModelWeights weights, BackendMemory memory,
            int firstSlot, CudaOptions options, Consumer<DeviceBuffer> owner, LoadProgress progress) {
        Device device = cuda.device();
        var counting = new WeightSink.Counting();
        DeviceWeights counted = new WeightPlacement(config, counting).place(weights);
        Workspace needs = Workspace.counting();
        plan(cuda, config, counted, options, needs, Frames.WITHOUT_MEMORY, ProductMemory.NONE);
        CacheLayout layout = CacheLayout.of(config, options.kvFormat());

        var frames = new Frames(allocate(device, owner, CudaFrames.regionBytes(layout, memory)), firstSlot,
                layout.frameBytes(memory.frames()));
        long kept = allocate(device, owner, needs.keptBytes());
        device.stream().fill(kept, (byte) 0, needs.keptBytes());
        long scratch = allocate(device, owner, needs.scratchBytes());
        long productBytes = productBytes(cuda, config, counted, options);
        long products = allocate(device, owner, productBytes);
        DeviceBuffer weightBuffer = device.allocate(counting.bytes());
        owner.accept(weightBuffer);
        try (var upload = new WeightUpload(cuda.kernels(), weightBuffer, WeightUpload.STAGING_BYTES, progress)) {
            DeviceWeights placed = new WeightPlacement(config, upload).place(weights);
            upload.finish();
            return plan(cuda, config, placed, options, new Workspace(kept, scratch), frames,
                    new ProductMemory(products, productBytes));
        }
    }

    private static long allocate(Device device, Consumer<DeviceBuffer> owner, long bytes) {
        if (bytes == 0) {
            return 0;
        }
        DeviceBuffer buffer = device.allocate(bytes);
        owner.accept(buffer);
        return buffer.address();
    }

    private static CudaMemory plan(CudaDevice cuda, ModelConfig config, DeviceWeights weights, CudaOptions options,
            Workspace workspace, Frames frames, ProductMemory productMemory) {
        var stream = cuda.device().stream();
        int hidden = config.hiddenSize();
        long residual = workspace.kept("residual", (long) options.rows() * hidden * Float.BYTES);
        var linear = new Linear(cuda.kernels(), stream, productMemory.address(), productMemory.bytes());
        // its order of sums depends on the rows of a batch
        var blas = cuda.blas().filter(_ -> !options.batchInvariant());
        var products = Products.of(stream, new RmsNorm(cuda.kernels()), linear, blas);
        Products promptProducts = Optional.of(cuda.kernels()).filter(_ -> options.warpgroups()).flatMap(Sm90Linear::on)
                .map(warpgroups -> products.forPrompts(warpgroups, options.fewestWarpgroupRows())).orElse(products);
        var runtime = new CudaRuntime(cuda.kernels(), stream, products, promptProducts, workspace, options,
                CacheLayout.of(config, options.kvFormat()), frames.slots(), frames.strideBytes(), frames.address(), residual, hidden, config.normEpsilon());
        int logitRows = options.decodeRows() + LOGIT_ROWS;
        long rowBytes = (long) config.vocabSize() * Float.BYTES;
        long logits = workspace.kept("logits", logitRows * rowBytes);
        var network = new CudaNetwork(runtime, config, weights, options.maxBlocks(), logitRows);
        StepTables.Size decodeSize = decodeSize(options);
        StepTables.Size promptSize = promptSize(options);
        return new CudaMemory(weights, network, frames.address(),
                decodeSize, workspace.kept("decode tables", decodeSize.bytes()),
                promptSize, workspace.kept("prompt tables", promptSize.bytes()),
                sampling(cuda, config, options, workspace), logits, logits + options.decodeRows() * rowBytes);
    }

    static StepTables.Size decodeSize(CudaOptions options) {
        return new StepTables.Size(options.decodeRows(), options.decodeRows(), options.maxBlocks(), 0);
    }

    static StepTables.Size promptSize(CudaOptions options) {
        return new StepTables.Size(options.maxBatchTokens(), options.maxSequences(), options.maxBlocks(), options.decodeRows());
    }

    private static Optional<DeviceSampler.Plan> sampling(CudaDevice cuda, ModelConfig config, CudaOptions options,
            Workspace workspace) {
        return switch (options.sampling()) {
            case HOST -> Optional.empty();
            case DEVICE, AHEAD -> Optional.of(DeviceSampler.Plan.of(cuda.kernels(), workspace, new DeviceSampler.Size(
                    options.decodeRows() + options.maxBatchTokens(), options.maxSequences(), LOGIT_ROWS, config.vocabSize())));
        };
    }

    /// The most that any product of a decode step or of a small batch of prompts asks for, within reason.
    private static long productBytes(CudaDevice cuda, ModelConfig config, DeviceWeights weights, CudaOptions options) {
        long most = 0;
        List<Integer> sizes = new ArrayList<>(List.of(options.maxBatchTokens()));
        for (int tokens : DecodeBuckets.upTo(options.rows())) {
            sizes.add(tokens);
        }
        for (DeviceLinear matrix : (Iterable<DeviceLinear>) matrices(weights)::iterator) {
            for (int tokens : sizes) {
                most = Math.max(most, Linear.workspaceBytes(cuda.kernels(), matrix.weights().numbers(), tokens, matrix.outputs(),
                        matrix.inputs()));
            }
        }
        return Math.min(MOST_PRODUCT_BYTES, most);
    }

    private static Stream<DeviceLinear> matrices(DeviceWeights weights) {
        return Stream.concat(Stream.of(weights.head()), weights.layers().stream().flatMap(layer -> switch (layer) {
            case DeviceLayer.Mamba mamba -> Stream.of(mamba.inProjection(), mamba.outProjection());
            case DeviceLayer.Attention attention ->
                Stream.of(attention.query(), attention.key(), attention.value(), attention.output());
            case DeviceLayer.Experts experts -> Stream.concat(
                    experts.apart().stream().flatMap(dense -> Stream.of(dense.up(), dense.down())),
                    experts.latent().stream().flatMap(latent -> Stream.of(latent.in(), latent.out())));
            case DeviceLayer.Mlp mlp -> Stream.of(mlp.dense().up(), mlp.dense().down());
        }));
    }
}
