package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.emulator.RecordedLaunch;
import dev.sidewinder.cuda.kernel.Embedding;
import dev.sidewinder.cuda.kernel.ExpertFormat;
import dev.sidewinder.cuda.kernel.KernelReport;
import dev.sidewinder.cuda.kernel.Linear;
import dev.sidewinder.cuda.kernel.Linear.Numbers;
import dev.sidewinder.cuda.kernel.MoeExperts;
import dev.sidewinder.cuda.kernel.MoeRoute;
import dev.sidewinder.cuda.kernel.RmsNorm;
import dev.sidewinder.cuda.kernel.StepSequences;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Optional;

/// What a decode step of a model launches, and how long that would take by arithmetic.
///
/// The step is captured on the emulator as it would be on a device of 132 multiprocessors, with addresses behind which there is
/// no memory: only grids are looked at. Bytes are the least that a launch has to move from and to memory. Times are
/// estimates: `max(bytes / 3.0 TB/s, 2 µs)`, and for each boundary between kernels [#IN_ORDER_MICROS], or
/// [#OVERLAPPING_MICROS] where the second kernel may begin before the first has ended. The latter is a guess.
final class StepCensus {

    static final double BYTES_PER_MICRO = 3.0e6;
    static final double LEAST_MICROS = 2;
    static final double IN_ORDER_MICROS = 1.3;
    static final double OVERLAPPING_MICROS = 0.6;

    private static final int MULTIPROCESSORS = 132;
    private static final int REGISTERS = 65_536;
    private static final int REGISTER_UNIT = 256;
    private static final int SHARED_BYTES = 228 << 10;
    private static final int RESERVED_SHARED_BYTES = 1_024;
    private static final int MOST_THREADS = 2_048;
    private static final int MOST_BLOCKS = 32;

    // Arguments of linear_*: see linear.cu.
    private static final int LINEAR_TOKENS = 17;
    private static final int LINEAR_OUTPUTS = 20;
    private static final int LINEAR_INPUTS = 21;

    private static final long SOMEWHERE = WeightSink.ALIGNMENT;
    private static final RmsNorm.Weight NORM = new RmsNorm.Weight(SOMEWHERE, RmsNorm.WeightType.F32, 1e-5f);

    /// One launch.
    ///
    /// @param bytes that it moves at least
    record Line(RecordedLaunch launch, long bytes) {

        double micros() {
            return Math.max(bytes / BYTES_PER_MICRO, LEAST_MICROS) + boundaryMicros();
        }

        double boundaryMicros() {
            return launch.overlapping() ? OVERLAPPING_MICROS : IN_ORDER_MICROS;
        }
    }

    private final ModelConfig config;
    private final int rows;
    private final int context;
    private final int cacheBytes;
    private final List<Line> lines;

    private StepCensus(ModelConfig config, int rows, int context, KvFormat kvFormat, List<RecordedLaunch> launches) {
        this.config = config;
        this.rows = rows;
        this.context = context;
        cacheBytes = kvFormat == KvFormat.E4M3 ? 1 : 2;
        lines = launches.stream().map(launch -> new Line(launch, bytes(launch))).toList();
    }

    /// The decode step of a model whose experts and Mamba projections are in e4m3, with the attention layers and the Mamba layers
    /// right in front of them in bf16, as the published FP8 checkpoint has it.
    ///
    /// @param context tokens that each sequence has
    static StepCensus ofFp8(ModelConfig config, int rows, int context, KvFormat kvFormat) {
        var options = new CudaOptions(8192, Math.max(rows, 8), Math.max(context, CacheShape.BLOCK_TOKENS), kvFormat, false, true);
        DeviceWeights weights = weights(config);
        List<RecordedLaunch> launches = new ArrayList<>();
        try (CudaDevice cuda = EmulatedBackend.device(EmulatorSettings.withSeed(1).withMultiprocessors(MULTIPROCESSORS));
                DeviceBuffer products = cuda.device().allocate(CudaMemory.MOST_PRODUCT_BYTES)) {
            CudaMemory memory = CudaMemory.withoutMemory(cuda, config, weights, options, products);
            cuda.device().stream().capture(() -> {
                var sequences = new StepSequences(0, SOMEWHERE, SOMEWHERE, SOMEWHERE, rows, options.maxBlocks());
                launches.addAll(Emulator.recording(() -> {
                    memory.network().launch(new Pass.Decode(sequences, rows, SOMEWHERE));
                    memory.network().launchHead(memory.decodeLogits(), 0, rows);
                }));
            }).close();
        }
        return new StepCensus(config, rows, context, kvFormat, launches);
    }

    // ---- weights that are nowhere -----------------------------------------------------------------------------------------

    private static DeviceWeights weights(ModelConfig config) {
        int hidden = config.hiddenSize();
        List<DeviceLayer> layers = new ArrayList<>();
        for (int i = 0; i < config.layers().size(); i++) {
            boolean beforeAttention = i + 1 < config.layers().size() && config.layers().get(i + 1) instanceof LayerSpec.Attention;
            layers.add(layer(config.layers().get(i), hidden, beforeAttention ? Numbers.BF16 : Numbers.E4M3));
        }
        return new DeviceWeights(new Embedding.Table(SOMEWHERE, Embedding.TableType.BF16, config.vocabSize(), hidden), layers,
                NORM, matrix(Numbers.BF16, config.vocabSize(), hidden));
    }

    private static DeviceLayer layer(LayerSpec spec, int hidden, Numbers numbers) {
        return switch (spec) {
            case LayerSpec.Mamba mamba -> new DeviceLayer.Mamba(NORM, matrix(numbers, mamba.projectionDim(), hidden), SOMEWHERE,
                    SOMEWHERE, SOMEWHERE, SOMEWHERE, SOMEWHERE, SOMEWHERE, matrix(numbers, hidden, mamba.innerDim()));
            case LayerSpec.Attention heads -> {
                int queries = heads.queryHeads() * heads.headDim();
                int keys = heads.kvHeads() * heads.headDim();
                yield new DeviceLayer.Attention(NORM, matrix(Numbers.BF16, queries, hidden), matrix(Numbers.BF16, keys, hidden),
                        matrix(Numbers.BF16, keys, hidden), matrix(Numbers.BF16, hidden, queries), 1, 1);
            }
            case LayerSpec.Experts experts -> {
                long expertBytes = (long) hidden * experts.intermediate();
                var matrices = new MoeExperts.Matrices(SOMEWHERE, expertBytes, 0, 0, SOMEWHERE, 0, SOMEWHERE, SOMEWHERE);
                yield new DeviceLayer.Experts(NORM, experts.routed(),
                        new MoeRoute.Weights(NORM, SOMEWHERE, MoeRoute.GateType.BF16, SOMEWHERE, SOMEWHERE),
                        new MoeExperts.Weights(ExpertFormat.E4M3, matrices, matrices), true, Optional.empty(), Optional.empty());
            }
            case LayerSpec.Mlp mlp -> new DeviceLayer.Mlp(NORM, new DeviceLayer.Dense(matrix(numbers, mlp.intermediate(), hidden),
                    matrix(numbers, hidden, mlp.intermediate())));
        };
    }

    private static DeviceLinear matrix(Numbers numbers, int outputs, int inputs) {
        return new DeviceLinear(new Linear.Weights(numbers, SOMEWHERE, 0, outputs, inputs, 1), 1);
    }

    List<Line> lines() {
        return lines;
    }

    long bytes() {
        return lines.stream().mapToLong(Line::bytes).sum();
    }

    double micros() {
        return lines.stream().mapToDouble(Line::micros).sum();
    }

    double boundaryMicros() {
        return lines.stream().mapToDouble(Line::boundaryMicros).sum();
    }

    /// Of the time that the bytes alone would take.
    double fractionOfFloor() {
        return bytes() / BYTES_PER_MICRO / micros();
    }

    // ---- bytes ----------------------------------------------------------------------------------------------------------

    private long bytes(RecordedLaunch launch) {
        String kernel = launch.kernel();
        long hiddenBytes = (long) rows * config.hiddenSize() * Float.BYTES;
        if (kernel.startsWith("linear_")) {
            long outputs = launch.argument(LINEAR_OUTPUTS);
            long inputs = launch.argument(LINEAR_INPUTS);
            long tokens = launch.argument(LINEAR_TOKENS);
            return (long) (outputs * inputs * weightBytes(kernel)) + tokens * (inputs * 2 + outputs * Float.BYTES);
        }
        if (kernel.startsWith("moe_experts_") || kernel.startsWith("moe_combine")) {
            LayerSpec.Experts experts = first(LayerSpec.Experts.class);
            int slots = experts.active() + experts.sharedIntermediate() / experts.intermediate();
            if (kernel.startsWith("moe_combine")) {
                return slots * hiddenBytes + 2 * hiddenBytes;
            }
            double weights = (touchedExperts(experts) * experts.intermediate() + experts.sharedIntermediate())
                    * config.hiddenSize() * weightBytes(kernel);
            boolean leavesRows = kernel.contains("down_tile");
            return (long) weights + (long) rows * slots * (experts.intermediate() + (leavesRows ? 4L * config.hiddenSize() : 0));
        }
        if (kernel.startsWith("moe_route")) {
            return (long) first(LayerSpec.Experts.class).routed() * config.hiddenSize() * 2 + hiddenBytes;
        }
        if (kernel.startsWith("selective_state_update")) {
            LayerSpec.Mamba mamba = first(LayerSpec.Mamba.class);
            long state = (long) mamba.innerDim() * mamba.stateDim() + (mamba.convWidth() - 1L) * mamba.convDim();
            return rows * (2 * state * Float.BYTES + mamba.projectionDim() * 2L + mamba.innerDim());
        }
        if (kernel.startsWith("paged_attention")) {
            LayerSpec.Attention attention = first(LayerSpec.Attention.class);
            return 2L * rows * context * attention.kvHeads() * attention.headDim() * cacheBytes;
        }
        return 2 * hiddenBytes;
    }

    private double touchedExperts(LayerSpec.Experts experts) {
        return experts.routed() * (1 - Math.pow(1 - (double) experts.active() / experts.routed(), rows));
    }

    private static double weightBytes(String kernel) {
        return kernel.endsWith("nvfp4") ? 0.5625 : kernel.contains("_e4m3") ? 1 : 2;
    }

    private <T extends LayerSpec> T first(Class<T> kind) {
        return config.layers().stream().filter(kind::isInstance).map(kind::cast).findFirst().orElseThrow();
    }

    // ---- tables ---------------------------------------------------------------------------------------------------------

    /// How many blocks of a launch fit a multiprocessor, by the compiler's report; 0 when there is none.
    private static int together(RecordedLaunch launch, Map<String, Integer> registers, Map<String, Integer> staticBytes) {
        Integer each = registers.get(launch.kernel());
        if (each == null) {
            return 0;
        }
        int byRegisters = REGISTERS / (Math.ceilDiv(each * 32, REGISTER_UNIT) * REGISTER_UNIT * (launch.threads() / 32));
        int byShared = SHARED_BYTES / (launch.sharedBytes() + staticBytes.get(launch.kernel()) + RESERVED_SHARED_BYTES);
        return Math.min(Math.min(byRegisters, byShared), Math.min(MOST_THREADS / launch.threads(), MOST_BLOCKS));
    }

    /// A Markdown table: a line for each kernel, shape and number of bytes, in the order in which they first come.
    String table() {
        Map<String, Integer> registers = new LinkedHashMap<>();
        Map<String, Integer> staticBytes = new LinkedHashMap<>();
        KernelReport.packaged().ifPresent(report -> report.rows().stream().filter(row -> row.architecture().equals("sm_90a"))
                .forEach(row -> {
                    registers.put(row.kernel(), row.registers());
                    staticBytes.put(row.kernel(), row.staticSharedBytes());
                }));
        Map<String, List<Line>> groups = new LinkedHashMap<>();
        for (Line line : lines) {
            RecordedLaunch launch = line.launch();
            groups.computeIfAbsent(launch.kernel() + launch.blocks() + " " + line.bytes() + launch.overlapping(),
                    _ -> new ArrayList<>()).add(line);
        }
        var text = new StringBuilder("""
                | kernel | x | blocks | threads | shared | registers | a multiprocessor | waves | MB | µs | overlaps |
                |---|---|---|---|---|---|---|---|---|---|---|
                """);
        for (List<Line> group : groups.values()) {
            Line line = group.getFirst();
            RecordedLaunch launch = line.launch();
            int together = together(launch, registers, staticBytes);
            text.append(String.format(Locale.ROOT, "| `%s` | %d | %d | %d | %d | %s | %s | %s | %.2f | %.1f | %s |%n", launch.kernel(),
                    group.size(), launch.blocks(), launch.threads(), launch.sharedBytes(),
                    together == 0 ? "" : registers.get(launch.kernel()), together == 0 ? "" : together,
                    together == 0 ? "" : String.format(Locale.ROOT, "%.2f", (double) launch.blocks() / (together * MULTIPROCESSORS)),
                    line.bytes() / 1e6, line.micros() - line.boundaryMicros(), launch.overlapping() ? "yes" : "no"));
        }
        return text.toString();
    }

    @Override
    public String toString() {
        return String.format(Locale.ROOT, "%d rows: %d kernels, %.2f GB, boundaries %.0f µs, %.2f ms a step, %.0f tokens/s, %.0f %% of the byte floor",
                rows, lines.size(), bytes() / 1e9, boundaryMicros(), micros() / 1e3, rows * 1e6 / micros(), 100 * fractionOfFloor());
    }
}
