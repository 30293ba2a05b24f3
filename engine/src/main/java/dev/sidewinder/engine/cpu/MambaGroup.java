package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;

import dev.sidewinder.kvcache.StateWrite;
import dev.sidewinder.model.checkpoint.LayerWeights;
import dev.sidewinder.model.checkpoint.WeightReader;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.scheduler.BatchEntry;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;

/// One group of a Mamba-2 layer between the projections: convolution, recurrence of its heads, gate and norm.
///
/// Owns the group's part of the state in every slot of [CacheMemory]:
///
/// | what          | shape                         | type |
/// |---------------|-------------------------------|------|
/// | recurrent     | `[heads, stateDim, headDim]`  | fp32 |
/// | history       | `[taps - 1, channels]`        | fp32, raw input of the convolution, oldest token first |
///
/// A state is stored transposed, `[stateDim, headDim]`: vectors then run over channels and no sum crosses lanes.
/// Different slots may be used by different threads at once.
final class MambaGroup {

    /// Tokens that pass through convolution and recurrence together; what they need stays in the level-2 cache.
    private static final int CHUNK = 32;
    /// Above this softplus(v) is v in fp32. Source: the published model's own code.
    private static final float SOFTPLUS_THRESHOLD = 20;

    private final CpuMath math;
    private final LayerSpec.Mamba spec;
    private final int group;
    private final int heads;
    private final int width;
    private final int channels;
    private final int pastTokens;
    private final float epsilon;
    private final float[] convWeight;
    private final float[] convBias;
    private final float[] decayRate;
    private final float[] skip;
    private final float[] timeStepBias;
    private final float[] gateNorm;
    private final CacheMemory cache;
    private final MemorySegment states;
    private final long recurrentOffset;
    private final long historyOffset;
    private final Scratch[] scratch;

    /// Working memory of one worker.
    private static final class Scratch {
        final float[] window;
        final float[] convolved;
        final float[] mixed;

        Scratch(int channels, int pastTokens, int width) {
            window = new float[(pastTokens + CHUNK) * channels];
            convolved = new float[CHUNK * channels];
            mixed = new float[CHUNK * width];
        }
    }

    /// @param layer index of the layer in the model
    MambaGroup(CpuRuntime runtime, LayerSpec.Mamba spec, LayerWeights.Mamba weights, int group, float epsilon, int layer) {
        this.math = runtime.math();
        this.spec = spec;
        this.group = group;
        this.epsilon = epsilon;
        heads = spec.heads() / spec.groups();
        width = heads * spec.headDim();
        channels = width + 2 * spec.stateDim();
        pastTokens = spec.convWidth() - 1;
        convWeight = gatherConvWeight(WeightReader.vector(weights.convWeight()));
        convBias = weights.convBias().map(bias -> gatherChannels(WeightReader.vector(bias), 1, 0))
                .orElseGet(() -> new float[channels]);
        decayRate = slice(WeightReader.vector(weights.aLog()), heads);
        for (int head = 0; head < heads; head++) {
            decayRate[head] = (float) -Math.exp(decayRate[head]);
        }
        skip = slice(WeightReader.vector(weights.skip()), heads);
        timeStepBias = slice(WeightReader.vector(weights.timeStepBias()), heads);
        gateNorm = slice(WeightReader.vector(weights.gateNorm()), width);
        cache = runtime.cache();
        states = cache.frames();
        recurrentOffset = cache.layout().recurrentOffset()[layer] + group * stateBytes();
        historyOffset = cache.layout().historyOffset()[layer] + group * historyBytes();
        scratch = new Scratch[runtime.pool().workers()];
        for (int worker = 0; worker < scratch.length; worker++) {
            scratch[worker] = new Scratch(channels, pastTokens, width);
        }
    }

    private long headStateBytes() {
        return 4L * spec.stateDim() * spec.headDim();
    }

    private long stateBytes() {
        return heads * headStateBytes();
    }

    private long historyBytes() {
        return 4L * pastTokens * channels;
    }

    private float[] slice(float[] all, int count) {
        return Arrays.copyOfRange(all, group * count, (group + 1) * count);
    }

    /// Picks this group's channels (its x, then its B, then its C) out of per-channel values.
    private float[] gatherChannels(float[] all, int stride, int offset) {
        float[] mine = new float[channels];
        for (int channel = 0; channel < channels; channel++) {
            mine[channel] = all[modelChannel(channel) * stride + offset];
        }
        return mine;
    }

    private int modelChannel(int channel) {
        int stateDim = spec.stateDim();
        if (channel < width) {
            return group * width + channel;
        }
        int bOrC = (channel - width) / stateDim;
        return spec.innerDim() + bOrC * spec.groups() * stateDim + group * stateDim + (channel - width) % stateDim;
    }

    /// `[channels of the model, taps]` to `[taps, channels of this group]`.
    private float[] gatherConvWeight(float[] all) {
        int taps = spec.convWidth();
        float[] mine = new float[taps * channels];
        for (int tap = 0; tap < taps; tap++) {
            System.arraycopy(gatherChannels(all, taps, tap), 0, mine, tap * channels, channels);
        }
        return mine;
    }

    /// Runs the tokens of an entry, advances the state in its slot, and leaves states on the way where the entry says so.
    ///
    /// @param projected output of the input projection, `[rows, projectionDim]`
    /// @param entry     a sequence that begins with it has a zero state, whatever its slot holds
    /// @param result    receives this group's columns of the rows that go into the output projection
    void run(float[] projected, int firstRow, BatchEntry entry, SourceRows result, int worker) {
        Scratch mine = scratch[worker];
        long historyAt = cache.slotAt(entry.allocation().slot()) + historyOffset;
        long stateAt = cache.slotAt(entry.allocation().slot()) + recurrentOffset;
        if (entry.from() == 0) {
            states.asSlice(historyAt, historyBytes()).fill((byte) 0);
            states.asSlice(stateAt, stateBytes()).fill((byte) 0);
        }
        MemorySegment.copy(states, JAVA_FLOAT, historyAt, mine.window, 0, pastTokens * channels);
        int done = 0;
        for (StateWrite write : entry.writes()) {
            run(projected, firstRow + done, firstRow + write.position() - entry.from(), stateAt, mine, result);
            done = write.position() - entry.from();
            MemorySegment.copy(states, stateAt, states, cache.slotAt(write.slot()) + recurrentOffset, stateBytes());
            saveHistory(mine, cache.slotAt(write.slot()) + historyOffset);
        }
        run(projected, firstRow + done, firstRow + entry.count(), stateAt, mine, result);
        saveHistory(mine, historyAt);
    }

    private void saveHistory(Scratch mine, long at) {
        MemorySegment.copy(mine.window, 0, states, JAVA_FLOAT, at, pastTokens * channels);
    }

    /// Token by token: what a token computes does not depend on how the rows are cut.
    private void run(float[] projected, int firstRow, int endRow, long stateAt, Scratch mine, SourceRows result) {
        for (int row = firstRow; row < endRow; row += CHUNK) {
            int tokens = Math.min(CHUNK, endRow - row);
            convolve(projected, row, tokens, mine);
            recur(projected, row, tokens, stateAt, mine);
            gateAndNormalise(projected, row, tokens, result, mine);
            System.arraycopy(mine.window, tokens * channels, mine.window, 0, pastTokens * channels);
        }
    }

    private void convolve(float[] projected, int firstRow, int tokens, Scratch mine) {
        int stateDim = spec.stateDim();
        int inner = spec.innerDim();
        for (int token = 0; token < tokens; token++) {
            int row = (firstRow + token) * spec.projectionDim() + inner;
            int at = (pastTokens + token) * channels;
            System.arraycopy(projected, row + group * width, mine.window, at, width);
            int b = row + inner + group * stateDim;
            System.arraycopy(projected, b, mine.window, at + width, stateDim);
            System.arraycopy(projected, b + spec.groups() * stateDim, mine.window, at + width + stateDim, stateDim);
            math.convolve(mine.window, token * channels, convWeight, convBias, spec.convWidth(), channels,
                    mine.convolved, token * channels);
        }
    }

    /// Head by head, so that one head's state stays in the level-1 cache over the tokens of the chunk.
    private void recur(float[] projected, int firstRow, int tokens, long stateAt, Scratch mine) {
        int timeSteps = spec.innerDim() + spec.convDim() + group * heads;
        for (int head = 0; head < heads; head++) {
            long headAt = stateAt + head * headStateBytes();
            int column = head * spec.headDim();
            for (int token = 0; token < tokens; token++) {
                float raw = projected[(firstRow + token) * spec.projectionDim() + timeSteps + head];
                float timeStep = softplus(raw + timeStepBias[head]);
                float decay = (float) Math.exp(timeStep * decayRate[head]);
                int at = token * channels;
                math.recur(states, headAt, spec.stateDim(), spec.headDim(), decay, timeStep, skip[head],
                        mine.convolved, at + column, mine.convolved, at + width, mine.convolved,
                        at + width + spec.stateDim(), mine.mixed, token * width + column);
            }
        }
    }

    private void gateAndNormalise(float[] projected, int firstRow, int tokens, SourceRows result, Scratch mine) {
        for (int token = 0; token < tokens; token++) {
            int at = token * width;
            int gateAt = (firstRow + token) * spec.projectionDim() + group * width;
            math.gate(projected, gateAt, mine.mixed, at, width);
            math.rmsNorm(mine.mixed, at, gateNorm, 0, epsilon, mine.mixed, at, width);
            result.set(firstRow + token, group * width, mine.mixed, at, width);
        }
    }

    static float softplus(float value) {
        return value > SOFTPLUS_THRESHOLD ? value : (float) Math.log1p(Math.exp(value));
    }
}
