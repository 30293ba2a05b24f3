package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;

/// The pools of a real device are tens of gigabytes. States and KV blocks whose offsets pass 2^31 and 2^32 are read and written
/// where they belong: with the bits of the same work in a small pool, at the addresses that the host computes.
class FarOffsetsTest {

    /// Offsets of 1.5, 3 and 4.5 GiB: what 32 bits, with or without a sign, make of them lies elsewhere in the pool or outside.
    private static final long FAR_BYTES = 3L << 29;
    private static final int PLACES = 4;
    private static final MambaShape LAYER = MambaShapes.SMALL;
    private static final AttentionShape HEADS = new AttentionShape(4, 2, 64);
    private static final int PROMPT_TOKENS = 130;
    private static final float SCALE = 0.125f;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(EmulatorSettings.withSeed(0).withTotalBytes(16L << 30));

    private DeviceArrays arrays;
    private Stream stream;

    @BeforeEach
    void open() {
        arrays = new DeviceArrays(emulator.device());
        stream = emulator.device().stream();
    }

    @AfterEach
    void close() {
        arrays.close();
    }

    // ---- states ----------------------------------------------------------------------------------------------------

    /// A prompt of each slot and the tokens behind it, and then the states.
    @Test
    void statesOfFarSlotsAreThoseOfNearOnes() {
        long near = 64 + LAYER.historyBytes() + LAYER.stateBytes();
        assertThat(states(FAR_BYTES)).isDeepEqualTo(states((near + 255) / 256 * 256));
    }

    private float[][] states(long stride) {
        var random = new Random(5);
        MambaWeights weights = MambaWeights.random(LAYER, true, random);
        float[] projected = weights.projectedRows(PLACES * PROMPT_TOKENS, random);
        float[] next = weights.projectedRows(PLACES, random);
        List<float[]> found = new ArrayList<>();
        try (DeviceBuffer pool = emulator.device().allocate(PLACES * stride)) {
            var state = new MambaState(pool.address(), stride, 0, LAYER.historyBytes());
            // each slot has a past
            for (int slot = 0; slot < PLACES; slot++) {
                arrays.write(pool.address() + slot * stride, MambaWeights.gaussian((int) (LAYER.historyBytes() / 4), 1, random));
                arrays.write(pool.address() + slot * stride + LAYER.historyBytes(),
                        MambaWeights.gaussian((int) (LAYER.stateBytes() / 4), 1, random));
            }
            found.add(prompts(weights, state, projected));
            found.add(tokens(weights, state, next));
            for (int slot = 0; slot < PLACES; slot++) {
                found.add(arrays.readFloats(pool.address() + slot * stride, (int) ((LAYER.historyBytes() + LAYER.stateBytes()) / 4)));
            }
        }
        return found.toArray(float[][]::new);
    }

    private float[] prompts(MambaWeights weights, MambaState state, float[] projected) {
        int rows = PLACES * PROMPT_TOKENS;
        var form = SsdChunkScan.Form.SINGLE;
        long high = arrays.unwritten(2L * rows * LAYER.channels());
        long timeStep = arrays.unwritten(4L * rows * LAYER.heads());
        long y = arrays.unwritten((long) form.output().bytes() * rows * LAYER.innerDim());
        int[] start = new int[PLACES + 1];
        int[] position = new int[PLACES];
        for (int slot = 0; slot < PLACES; slot++) {
            start[slot + 1] = start[slot] + PROMPT_TOKENS;
            position[slot] = 128;
        }
        var sequences = new PromptSequences(arrays.ints(start), arrays.ints(position), arrays.ints(3, 1, 2, 0), PLACES, rows);
        new CausalConv(emulator.kernels(), LAYER).run(stream, new CausalConv.Activations(high, 0, timeStep, arrays.floats(projected),
                FloatFormat.F32), weights.convolution(arrays), state, sequences);
        new SsdChunkScan(emulator.kernels(), LAYER, form).run(stream, new SsdChunkScan.Activations(y, high, 0, timeStep),
                weights.scan(arrays), state, sequences);
        return arrays.read(form.output(), y, rows * LAYER.innerDim());
    }

    private float[] tokens(MambaWeights weights, MambaState state, float[] projected) {
        long out = arrays.unwritten(2L * PLACES * LAYER.innerDim());
        var activations = new SelectiveStateUpdate.Activations(arrays.floats(projected), FloatFormat.F32,
                arrays.unwritten(4L * PLACES * LAYER.innerDim()), arrays.ints(new int[PLACES * LAYER.groups()]));
        new SelectiveStateUpdate(emulator.kernels(), LAYER, weights.epsilon()).run(stream, new ProductInput.Bf16(out), activations,
                weights.update(arrays), state, new SelectiveStateUpdate.Rows(arrays.ints(1, 3, 0, 2), arrays.ints(258, 258, 258, 258), PLACES));
        return arrays.readBf16(out, PLACES * LAYER.innerDim());
    }

    // ---- keys and values ---------------------------------------------------------------------------------------------

    /// What is written there, attention of a prompt over it, and of the token behind.
    @ParameterizedTest
    @EnumSource(CacheType.class)
    void farBlocksAreReadAndWrittenAsNearOnes(CacheType type) {
        long near = KvCacheLayer.bytesPerBlock(type, HEADS.kvHeads(), HEADS.headDim());
        assertThat(attention(type, FAR_BYTES)).isDeepEqualTo(attention(type, near));
    }

    private float[][] attention(CacheType type, long stride) {
        var random = new Random(6);
        int rows = PROMPT_TOKENS + 1;
        int width = HEADS.kvHeads() * HEADS.headDim();
        int blockInts = (int) (KvCacheLayer.bytesPerBlock(type, HEADS.kvHeads(), HEADS.headDim()) / 4);
        ActivationRows queries = rows(random, rows, HEADS.queryHeads() * HEADS.headDim());
        ActivationRows keys = rows(random, rows, width);
        ActivationRows values = rows(random, rows, width);
        List<float[]> found = new ArrayList<>();
        try (DeviceBuffer pool = emulator.device().allocate(PLACES * stride)) {
            var cache = new KvCacheLayer(pool.address(), type, stride, 0, HEADS.kvHeads(), HEADS.headDim(), 1, 1);
            // the last block first, and one behind 2^32; what no token fills is the same in both
            for (int block : new int[] {3, 2}) {
                arrays.write(pool.address() + block * stride, new int[blockInts]);
            }
            long table = arrays.ints(3, 2);
            var prompt = new StepSequences(arrays.ints(0, rows), arrays.ints(0), arrays.ints(0), table, 1, 2);
            new KvWrite(emulator.kernels()).write(stream, cache, keys, values, prompt, rows);
            for (int block : new int[] {3, 2}) {
                found.add(arrays.readFloats(pool.address() + block * stride, blockInts));
            }
            found.add(promptAttention(queries, cache, prompt, rows));
            found.add(decodeAttention(queries, cache, new StepSequences(0, arrays.ints(PROMPT_TOKENS), arrays.ints(0), table, 1, 2)));
        }
        return found.toArray(float[][]::new);
    }

    private float[] promptAttention(ActivationRows queries, KvCacheLayer cache, StepSequences step, int rows) {
        var split = new PromptSplit(4, 200, KvCacheLayer.BLOCK_TOKENS);
        long plan = arrays.unwritten(AttentionPlan.promptBytes(1));
        new AttentionPlan(emulator.kernels()).prompt(stream, plan, HEADS, step, split);
        var workspace = new PromptSplit.PromptWorkspace(arrays.unwritten(split.nodeBytes(HEADS, 2)),
                arrays.ints(new int[(int) (split.counterBytes() / Integer.BYTES)]), 2);
        int count = rows * HEADS.queryHeads() * HEADS.headDim();
        long out = arrays.unwritten(2L * count);
        new PagedAttention(emulator.kernels()).prompt(stream, PagedAttention.Result.toBf16(out), workspace, queries, cache, HEADS, step, plan,
                split, rows, SCALE);
        return arrays.readBf16(out, count);
    }

    private float[] decodeAttention(ActivationRows queries, KvCacheLayer cache, StepSequences step) {
        var split = new DecodeSplit(SplitPolicy.INVARIANT, 4);
        int slots = split.partialSlots(HEADS, 1, 2);
        long plan = arrays.unwritten(AttentionPlan.decodeBytes(1, split));
        new AttentionPlan(emulator.kernels()).decode(stream, plan, HEADS, step, split);
        int count = HEADS.queryHeads() * HEADS.headDim();
        long out = arrays.unwritten(2L * count);
        var workspace = new PagedAttention.Workspace(arrays.unwritten(PagedAttention.Workspace.partialBytes(HEADS, slots)),
                arrays.ints(new int[(int) (PagedAttention.Workspace.counterBytes(slots) / 4)]), slots);
        new PagedAttention(emulator.kernels()).decode(stream, PagedAttention.Result.toBf16(out), workspace, queries, cache, HEADS, step, plan,
                split, SCALE);
        return arrays.readBf16(out, count);
    }

    private ActivationRows rows(Random random, int rows, int width) {
        return ActivationRows.bf16(arrays.bf16(MambaWeights.gaussian(rows * width, 1, random)), width);
    }
}
