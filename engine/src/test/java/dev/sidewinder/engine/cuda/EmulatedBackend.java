package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.engine.Backend;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.LoadProgress;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.checkpoint.ModelWeights;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import java.util.Arrays;
import java.util.List;
import java.util.Random;

/// CUDA backends on the emulator, and what tests of them share. One backend is open at a time: opening one forgets what an
/// earlier one left behind.
final class EmulatedBackend {

    /// Sizes of the fast kernels, as small as they come: every layer kind once.
    static final String ROUND = "synthetic:tiny,layers=M*E-,hidden=64,vocab=256,mamba-heads=4,mamba-head-dim=16,groups=2,"
            + "state=64,query-heads=4,kv-heads=2,head-dim=64,dense=64,experts=4,active=2,intermediate=64,shared=128";
    /// Every layer kind, the latent width too, and no round numbers: the plain kernels.
    static final String ODD = "synthetic:tiny,layers=M*-EM,hidden=80,vocab=300,mamba-heads=6,mamba-head-dim=24,groups=2,"
            + "state=20,query-heads=6,kv-heads=2,head-dim=24,dense=72,experts=5,active=2,intermediate=40,shared=56,latent=48";
    /// As small as a model with states, keys and experts can be, for many steps.
    static final String SMALLEST = "synthetic:tiny,layers=M*E,hidden=32,vocab=64,mamba-heads=2,mamba-head-dim=16,groups=1,"
            + "state=64,query-heads=2,kv-heads=1,head-dim=64,dense=32,experts=4,active=2,intermediate=32,shared=32";

    /// A hidden width whose rows are normalised by blocks: with up to four of them inside the products that read them.
    static final String WIDE = "synthetic:tiny,layers=M*E-,hidden=288,vocab=64,mamba-heads=2,mamba-head-dim=16,groups=1,"
            + "state=64,query-heads=2,kv-heads=1,head-dim=64,dense=32,experts=4,active=2,intermediate=32,shared=32";

    private EmulatedBackend() {}

    /// Batch-invariant, with graphs, keys and values in bf16. Without warpgroup kernels, whose tiles of at least 64 rows take
    /// the emulator long: [CudaWarpgroupTest] has them.
    static CudaOptions options(int maxBatchTokens, CacheShape shape) {
        return new CudaOptions(maxBatchTokens, shape.slots(), shape.blocks() * CacheShape.BLOCK_TOKENS, KvFormat.BF16, true, true)
                .withoutWarpgroups();
    }

    static CudaOptions withWarpgroups(CudaOptions options) {
        return new CudaOptions(options.maxBatchTokens(), options.maxSequences(), options.maxTokens(), options.kvFormat(),
                options.batchInvariant(), options.graphs(), options.sampling(), true);
    }

    static CudaOptions withoutGraphs(CudaOptions options) {
        return new CudaOptions(options.maxBatchTokens(), options.maxSequences(), options.maxTokens(), options.kvFormat(),
                options.batchInvariant(), false, options.sampling(), options.warpgroups());
    }

    static CudaDevice device(EmulatorSettings settings) {
        Emulator.reset(settings);
        return CudaDevice.open(Device.open(Emulator.driver(), 0), Emulator.images(), "of the emulator");
    }

    static CudaBackend open(Model model, BackendMemory memory, CudaOptions options, EmulatorSettings settings) {
        return new CudaBackend(device(settings), model.config(), model.weights(), memory, options, LoadProgress.SILENT);
    }

    static CudaBackend open(Model model, CacheShape shape, CudaOptions options, EmulatorSettings settings) {
        return new CudaBackend(device(settings), model.config(), model.weights(), shape, options, LoadProgress.SILENT);
    }

    /// With other weights than the model's own.
    static CudaBackend open(Model model, ModelWeights weights, CacheShape shape, CudaOptions options, long seed) {
        return new CudaBackend(device(EmulatorSettings.withSeed(seed)), model.config(), weights, shape, options, LoadProgress.SILENT);
    }

    static CudaBackend open(Model model, CacheShape shape, CudaOptions options, long seed) {
        return open(model, shape, options, EmulatorSettings.withSeed(seed));
    }

    /// The rows of logits of a batch, in its order.
    static float[][] run(Backend backend, BatchEntry... entries) {
        Logits logits = backend.forward(new Batch(1, List.of(entries)));
        float[][] rows = new float[logits.rows()][];
        Arrays.setAll(rows, row -> Arrays.copyOfRange(logits.values(), logits.offset(row), logits.offset(row + 1)));
        return rows;
    }

    static int argMax(float[] values) {
        int best = 0;
        for (int i = 1; i < values.length; i++) {
            best = values[i] > values[best] ? i : best;
        }
        return best;
    }

    /// Of all values together; NaN where one is NaN.
    static double relativeError(float[] expected, float[] actual) {
        double squares = 0;
        double differences = 0;
        for (int i = 0; i < expected.length; i++) {
            double difference = actual[i] - (double) expected[i];
            squares += (double) expected[i] * expected[i];
            differences += difference * difference;
        }
        return Math.sqrt(differences / squares);
    }

    static int[] randomTokens(Random random, int count, Model model) {
        return random.ints(count, 0, model.config().vocabSize()).toArray();
    }
}
