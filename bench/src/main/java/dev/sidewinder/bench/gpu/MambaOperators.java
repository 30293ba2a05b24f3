package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import dev.sidewinder.bench.gpu.Operator.Work;
import dev.sidewinder.cuda.kernel.CausalConv;
import dev.sidewinder.cuda.kernel.FloatFormat;
import dev.sidewinder.cuda.kernel.GatedNorm;
import dev.sidewinder.cuda.kernel.MambaShape;
import dev.sidewinder.cuda.kernel.MambaState;
import dev.sidewinder.cuda.kernel.ProductInput;
import dev.sidewinder.cuda.kernel.PromptSequences;
import dev.sidewinder.cuda.kernel.SelectiveStateUpdate;
import dev.sidewinder.cuda.kernel.SsdChunkScan;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;

/// What a Mamba-2 layer does between its projections, in the forms of a layer in FP8: activations in bf16 in, e4m3 out.
final class MambaOperators {

    private static final float EPSILON = 1e-5f;
    private static final float SCALE = 0.01f;
    /// Tokens of a chunk of the scan: docs/decisions/0012.
    private static final int CHUNK = 64;
    private static final int POSITION = 128;

    private MambaOperators() {}

    static List<Operator> all(ModelSizes sizes) {
        List<Operator> operators = new ArrayList<>();
        for (int sequences : sizes.decode()) {
            operators.add(update(sizes.mamba(), sequences));
        }
        for (int tokens : sizes.prompt()) {
            operators.add(convolution(sizes.mamba(), tokens));
        }
        for (SsdChunkScan.Form form : SsdChunkScan.Form.values()) {
            for (int tokens : sizes.scan()) {
                operators.add(scan(sizes.mamba(), form, tokens));
            }
        }
        for (int tokens : sizes.prompt()) {
            operators.add(gatedNorm(sizes.mamba(), tokens));
        }
        return operators;
    }

    /// A slot's two parts one behind the other, as many slots as wanted.
    private static MambaState state(MambaShape shape, BenchMemory memory, int slots) {
        long stride = Math.ceilDiv(shape.historyBytes() + shape.stateBytes(), 256) * 256;
        long history = Math.ceilDiv(shape.stateBytes(), 16) * 16;
        return new MambaState(memory.f32(stride / 4 * slots), stride, history, 0);
    }

    private static int[] slots(int from, int count) {
        int[] slots = new int[count];
        Arrays.setAll(slots, i -> from + i);
        return slots;
    }

    private static int[] positions(int count) {
        int[] positions = new int[count];
        Arrays.fill(positions, POSITION);
        return positions;
    }

    /// Negative, as `-exp(A_log)` is: states shrink.
    private static long decayRates(MambaShape shape, BenchMemory memory) {
        float[] rates = new float[shape.heads()];
        for (int head = 0; head < rates.length; head++) {
            rates[head] = -0.1f - (float) memory.random().nextDouble();
        }
        return memory.floats(rates);
    }

    private static Operator update(MambaShape shape, int sequences) {
        long stateBytes = shape.stateBytes() + shape.historyBytes();
        double bytes = sequences * (2.0 * stateBytes + 2.0 * shape.rowWidth() + shape.innerDim());
        // a S + x Bᵀ, then S C: two multiplications and two additions for each value of the state
        double flops = 4.0 * sequences * shape.innerDim() * shape.stateDim();
        return new Operator("selective_state_update", "state update", "B=" + sequences, new Work(bytes, flops, Arithmetic.BF16),
                sequences * stateBytes, (kernels, memory, turns) -> {
                    var update = new SelectiveStateUpdate(kernels, shape, EPSILON);
                    MambaState state = state(shape, memory, sequences * turns);
                    var weights = new SelectiveStateUpdate.Weights(memory.f32((long) shape.channels() * shape.taps()),
                            memory.f32(shape.channels()), memory.f32(shape.heads()), decayRates(shape, memory),
                            memory.f32(shape.heads()), memory.f32(shape.innerDim()));
                    var activations = new SelectiveStateUpdate.Activations(memory.bf16((long) sequences * shape.rowWidth()),
                            FloatFormat.BF16, memory.f32((long) sequences * shape.innerDim()),
                            memory.zeros(4L * sequences * shape.groups()));
                    var out = new ProductInput.E4m3(memory.zeros((long) sequences * shape.innerDim()), SCALE);
                    long position = memory.ints(positions(sequences));
                    var rows = new SelectiveStateUpdate.Rows[turns];
                    for (int turn = 0; turn < turns; turn++) {
                        rows[turn] = new SelectiveStateUpdate.Rows(memory.ints(slots(turn * sequences, sequences)), position, sequences);
                    }
                    return turn -> update.run(kernels.device().stream(), out, activations, weights, state, rows[turn]);
                });
    }

    /// One prompt that continues a state.
    private static PromptSequences prompt(BenchMemory memory, int tokens) {
        return new PromptSequences(memory.ints(0, tokens), memory.ints(POSITION), memory.ints(0), 1, tokens);
    }

    private static Operator convolution(MambaShape shape, int tokens) {
        double bytes = tokens * (2.0 * shape.channels() + 2.0 * shape.heads() + 2.0 * shape.channels() + 4.0 * shape.heads())
                + 2.0 * shape.historyBytes();
        double flops = 2.0 * tokens * shape.channels() * shape.taps();
        return new Operator("causal_conv1d", "convolution", "T=" + tokens, new Work(bytes, flops, Arithmetic.BF16),
                (long) bytes, (kernels, memory, turns) -> {
                    var convolution = new CausalConv(kernels, shape);
                    MambaState state = state(shape, memory, 1);
                    var weights = new CausalConv.Weights(memory.f32((long) shape.channels() * shape.taps()),
                            memory.f32(shape.channels()), memory.f32(shape.heads()));
                    PromptSequences prompt = prompt(memory, tokens);
                    var activations = new CausalConv.Activations[turns];
                    for (int turn = 0; turn < turns; turn++) {
                        activations[turn] = new CausalConv.Activations(memory.zeros(2L * tokens * shape.channels()), 0,
                                memory.zeros(4L * tokens * shape.heads()), memory.bf16((long) tokens * shape.rowWidth()),
                                FloatFormat.BF16);
                    }
                    return turn -> convolution.run(kernels.device().stream(), activations[turn], weights, state, prompt);
                });
    }

    private static Operator scan(MambaShape shape, SsdChunkScan.Form form, int tokens) {
        boolean pair = form == SsdChunkScan.Form.PAIR;
        double bytes = tokens * ((pair ? 4.0 : 2.0) * shape.channels() + 4.0 * shape.heads()
                + (double) form.output().bytes() * shape.innerDim()) + 2.0 * shape.stateBytes();
        // per chunk and head: scores times x, states in, states out; per chunk and group: C Bᵀ
        double flops = tokens * (shape.innerDim() * (2.0 * CHUNK + 4.0 * shape.stateDim())
                + 2.0 * CHUNK * shape.groups() * shape.stateDim()) * (pair ? 3 : 1);
        return new Operator("ssd_chunk_scan", pair ? "scan, in pairs" : "scan", "T=" + tokens,
                new Work(bytes, flops, Arithmetic.BF16), (long) bytes, (kernels, memory, turns) -> {
                    var scan = new SsdChunkScan(kernels, shape, form);
                    MambaState state = state(shape, memory, 1);
                    var weights = new SsdChunkScan.Weights(decayRates(shape, memory), memory.f32(shape.heads()));
                    PromptSequences prompt = prompt(memory, tokens);
                    var activations = new SsdChunkScan.Activations[turns];
                    for (int turn = 0; turn < turns; turn++) {
                        long channels = (long) tokens * shape.channels();
                        activations[turn] = new SsdChunkScan.Activations(
                                memory.zeros((long) form.output().bytes() * tokens * shape.innerDim()), memory.bf16(channels),
                                pair ? memory.bf16(channels) : 0, timeSteps(shape, memory, tokens));
                    }
                    return turn -> scan.run(kernels.device().stream(), activations[turn], weights, state, prompt);
                });
    }

    /// Above 0, as softplus leaves them.
    private static long timeSteps(MambaShape shape, BenchMemory memory, int tokens) {
        float[] steps = new float[tokens * shape.heads()];
        for (int i = 0; i < steps.length; i++) {
            steps[i] = 0.01f + 0.2f * (float) memory.random().nextDouble();
        }
        return memory.floats(steps);
    }

    private static Operator gatedNorm(MambaShape shape, int tokens) {
        double bytes = (double) tokens * shape.innerDim() * (2 + 2 + 1);
        return new Operator("gated_norm", "gated norm", "T=" + tokens, Work.moving(bytes), (long) bytes, (kernels, memory, turns) -> {
            var norm = new GatedNorm(kernels, shape, EPSILON);
            long weight = memory.f32(shape.innerDim());
            var out = new ProductInput.E4m3(memory.zeros((long) tokens * shape.innerDim()), SCALE);
            var inputs = new GatedNorm.Inputs[turns];
            for (int turn = 0; turn < turns; turn++) {
                inputs[turn] = new GatedNorm.Inputs(memory.bf16((long) tokens * shape.innerDim()), FloatFormat.BF16,
                        memory.bf16((long) tokens * shape.rowWidth()), FloatFormat.BF16, weight);
            }
            return turn -> norm.run(kernels.device().stream(), out, inputs[turn], tokens);
        });
    }
}
