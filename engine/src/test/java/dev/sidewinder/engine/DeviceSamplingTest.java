package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.kernel.SampleResults;
import dev.sidewinder.cuda.kernel.SampleRows;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.scheduler.Sequence;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// The kernel that samples against the sampler of the CPU: the same token and the same bits of the log-probabilities,
/// whatever a request asks for.
@Timeout(300)
class DeviceSamplingTest {

    private static final int ROWS = 32;

    /// A choice that is about to get its next token.
    private record Case(float[] logits, GenerationRequest request, int[] generated) {

        SamplingState state() {
            return SamplerTest.state(request, logits.length, generated);
        }

        Sequence<?> sequence() {
            return SamplerTest.sequence(request.prompt(), generated);
        }

        @Override
        public String toString() {
            return request + " after " + Arrays.toString(generated) + " from "
                    + Arrays.toString(Arrays.copyOf(logits, Math.min(logits.length, 300)));
        }

        Sample onCpu(Sampler sampler) {
            return sampler.sample(logits, 0, state(), sequence());
        }
    }

    /// Always the same mask.
    private record ConstantGuide(TokenMask allowed) implements TokenGuide {
        @Override
        public void accept(int token) {}

        @Override
        public boolean isComplete() {
            return false;
        }
    }

    @ParameterizedTest
    @CsvSource({"4, 30, 1", "33, 30, 2", "64, 20, 3", "65, 20, 4", "300, 15, 5", "1001, 6, 6", "131072, 1, 7"})
    void choosesWhatTheCpuChooses(int vocabSize, int steps, long seed) {
        System.out.println("DeviceSamplingTest seed " + seed);
        Random random = new Random(seed);
        try (Emulator emulator = Emulator.open(seed); Arena arena = Arena.ofConfined();
                DeviceSampler device = new DeviceSampler(emulator.kernels(), vocabSize, arena)) {
            Sampler sampler = new Sampler(vocabSize);
            for (int step = 0; step < steps; step++) {
                List<Case> cases = new ArrayList<>();
                for (int row = 0; row < ROWS; row++) {
                    cases.add(random(random, vocabSize));
                }
                List<Sample> samples = device.sample(cases);
                for (int row = 0; row < ROWS; row++) {
                    Case wanted = cases.get(row);
                    assertThat(bits(samples.get(row))).as("seed %d step %d row %d: %s", seed, step, row, wanted).isEqualTo(bits(wanted.onCpu(sampler)));
                }
            }
        }
    }

    /// Everything about it, floats by their bits.
    private static String bits(Sample sample) {
        return switch (sample) {
            case Sample.Chosen(int token, TokenLogprobs logprobs) when logprobs != null -> token + " " + Float.floatToRawIntBits(logprobs.logprob())
                    + " " + Arrays.toString(logprobs.topTokens()) + " " + Arrays.toString(IntStream.range(0, logprobs.topLogprobs().length)
                            .map(i -> Float.floatToRawIntBits(logprobs.topLogprobs()[i])).toArray());
            case Sample.Chosen(int token, TokenLogprobs _) -> "" + token;
            case Sample.NothingAllowed _ -> "nothing allowed";
            case Sample.NotFinite _ -> "not finite";
        };
    }

    private static Case random(Random random, int vocabSize) {
        float[] logits = new float[vocabSize];
        boolean hasTies = random.nextBoolean();
        double spread = random.nextInt(3) == 0 ? 0.01 : 4 * random.nextDouble();
        for (int i = 0; i < vocabSize; i++) {
            logits[i] = (float) (hasTies ? Math.rint(random.nextGaussian() * spread * 2) / 2 : random.nextGaussian() * spread);
        }
        if (random.nextInt(20) == 0) {
            logits[random.nextInt(vocabSize)] = random.nextBoolean() ? Float.NaN : Float.NEGATIVE_INFINITY;
        }
        int[] prompt = random.ints(1 + random.nextInt(12), 0, vocabSize).toArray();
        int[] generated = random.ints(random.nextInt(12), 0, Math.min(vocabSize, 6)).toArray();
        boolean isPlain = random.nextInt(3) == 0;
        var params = new SamplingParams(random.nextInt(4) == 0 ? 0 : 0.01 + 2 * random.nextDouble(), random.nextBoolean() ? 0 : random.nextInt(vocabSize + 2),
                random.nextBoolean() ? 1 : random.nextDouble(), random.nextBoolean() ? 0 : random.nextDouble() * 0.5,
                isPlain || random.nextBoolean() ? 1 : 0.1 + 3 * random.nextDouble(), isPlain || random.nextBoolean() ? 0 : 4 * random.nextDouble() - 2,
                isPlain || random.nextBoolean() ? 0 : 4 * random.nextDouble() - 2, isPlain ? Map.of() : biases(random, vocabSize),
                isPlain || random.nextInt(3) > 0 ? List.of() : random.ints(1 + random.nextInt(6), 0, vocabSize).boxed().toList(),
                isPlain || random.nextBoolean() ? List.of() : words(random, Math.min(vocabSize, 6)), random.nextLong(), random.nextInt(22) - 1);
        Optional<Supplier<TokenGuide>> guides = random.nextInt(3) > 0 ? Optional.empty() : Optional.of(new ConstantGuideSupplier(mask(random, vocabSize)));
        Set<Integer> stops = random.ints(3, 0, vocabSize).boxed().collect(Collectors.toSet());
        var request = new GenerationRequest("r", prompt, 100, isPlain ? 0 : random.nextInt(14), stops, 1, -1, params, guides);
        return new Case(logits, request, generated);
    }

    private record ConstantGuideSupplier(TokenMask mask) implements Supplier<TokenGuide> {
        @Override
        public TokenGuide get() {
            return new ConstantGuide(mask);
        }
    }

    private static Map<Integer, Float> biases(Random random, int vocabSize) {
        Map<Integer, Float> biases = new HashMap<>();
        for (int i = random.nextInt(5); i > 0; i--) {
            biases.put(random.nextInt(vocabSize), random.nextInt(3) == 0 ? -100f : random.nextFloat() * 20 - 10);
        }
        return biases;
    }

    /// Few different tokens, so that many words are under way.
    private static List<int[]> words(Random random, int tokens) {
        List<int[]> words = new ArrayList<>();
        for (int i = random.nextInt(8); i >= 0; i--) {
            words.add(random.ints(1 + random.nextInt(3), 0, tokens).toArray());
        }
        return words;
    }

    private static TokenMask mask(Random random, int vocabSize) {
        return switch (random.nextInt(4)) {
            case 0 -> TokenMask.only(random.nextInt(vocabSize));
            case 1 -> TokenMask.of(new long[0]);
            case 2 -> TokenMask.allBut(vocabSize, random.ints(vocabSize, 0, vocabSize).boxed().toList());
            default -> TokenMask.allBut(vocabSize, List.of());
        };
    }

    /// A step of a device's sampling, with its buffers.
    private static final class DeviceSampler implements AutoCloseable {
        private final Stream stream;
        private final dev.sidewinder.cuda.kernel.Sample sample;
        private final int vocabSize;
        private final MemorySegment hostLogits;
        private final MemorySegment hostRows;
        private final MemorySegment hostLists;
        private final MemorySegment hostMasks;
        private final MemorySegment hostResults;
        private final List<DeviceBuffer> buffers = new ArrayList<>();

        DeviceSampler(dev.sidewinder.cuda.kernel.Kernels kernels, int vocabSize, Arena arena) {
            this.stream = kernels.device().stream();
            this.sample = new dev.sidewinder.cuda.kernel.Sample(kernels, vocabSize, 32, 64);
            this.vocabSize = vocabSize;
            this.hostLogits = arena.allocate((long) ROWS * vocabSize * Float.BYTES, 8);
            this.hostRows = arena.allocate((long) ROWS * SampleRows.ROW_BYTES, 8);
            this.hostLists = arena.allocate(64 * 1024, 8);
            this.hostMasks = arena.allocate(ROWS * SampleRows.maskBytes(vocabSize), 8);
            this.hostResults = arena.allocate((long) ROWS * SampleResults.ROW_BYTES, 8);
            // the last three: saved logits, tokens, slots
            for (long bytes : new long[] {hostLogits.byteSize(), hostRows.byteSize(), hostLists.byteSize(), hostMasks.byteSize(),
                    hostResults.byteSize(), hostLists.byteSize(), ROWS * 4L, ROWS * 4L}) {
                buffers.add(kernels.device().allocate(bytes));
            }
        }

        List<Sample> sample(List<Case> cases) {
            SampleRows rows = new SampleRows(hostRows, hostLists, hostMasks, buffers.get(3).address(), vocabSize);
            for (int row = 0; row < ROWS; row++) {
                Case wanted = cases.get(row);
                MemorySegment.copy(wanted.logits(), 0, hostLogits, ValueLayout.JAVA_FLOAT, (long) row * vocabSize * Float.BYTES, vocabSize);
                wanted.state().describe(rows, row, wanted.sequence());
            }
            upload(0, hostLogits, hostLogits.byteSize());
            upload(1, hostRows, rows.rowBytes());
            upload(2, hostLists, rows.listBytes());
            upload(3, hostMasks, rows.maskBytes());
            stream.fillWords(buffers.get(7).address(), 0, ROWS);
            sample.choose(stream, new dev.sidewinder.cuda.kernel.Sample.Tensors(buffers.get(4).address(), buffers.get(6).address(),
                    buffers.get(0).address(), vocabSize, buffers.get(1).address(), buffers.get(2).address(), buffers.get(5).address(),
                    buffers.get(7).address()), ROWS);
            stream.copyToHost(hostResults, buffers.get(4).address(), hostResults.byteSize());
            stream.synchronize();
            SampleResults results = new SampleResults(hostResults);
            List<Sample> samples = new ArrayList<>();
            for (int row = 0; row < ROWS; row++) {
                samples.add(DeviceSamples.read(results, row));
            }
            return samples;
        }

        private void upload(int buffer, MemorySegment segment, long bytes) {
            if (bytes > 0) {
                stream.copyToDevice(buffers.get(buffer).address(), segment, bytes);
            }
        }

        @Override
        public void close() {
            buffers.forEach(DeviceBuffer::close);
        }
    }
}
