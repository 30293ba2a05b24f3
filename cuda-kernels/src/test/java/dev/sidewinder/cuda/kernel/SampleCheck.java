package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.NaiveSampler.Chosen;
import dev.sidewinder.cuda.kernel.NaiveSampler.Wanted;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import java.util.stream.IntStream;

/// Compares `sample.cu` with [NaiveSampler] on any device: outcome, token, sums and alternatives have to be the same bits,
/// and the logits what they were. Owns the buffers of a step; closes with them.
final class SampleCheck implements AutoCloseable {

    private static final int GUARD = 0x5A5A5A5A;

    /// @param stride   logits from row to row
    /// @param threads  of a block
    /// @param capacity tokens around a cut that are sorted at once
    record Size(int vocabSize, int stride, int rows, int threads, int capacity) {

        static Size of(int vocabSize, int rows) {
            return new Size(vocabSize, vocabSize, rows, 64, 64);
        }

        Size withStride(int other) {
            return new Size(vocabSize, other, rows, threads, capacity);
        }

        Size withBlock(int otherThreads, int otherCapacity) {
            return new Size(vocabSize, stride, rows, otherThreads, otherCapacity);
        }
    }

    /// A step to check.
    ///
    /// @param rows null = padded
    record Step(float[][] logits, Wanted[] rows) {}

    private final Size size;
    private final Stream stream;
    private final Sample sample;
    /// Host memory of the step: pinned, so that a captured copy reads and writes it.
    private final List<PinnedMemory> pinned = new ArrayList<>();
    private final MemorySegment hostLogits;
    private final MemorySegment hostRows;
    private final MemorySegment hostLists;
    private final MemorySegment hostMasks;
    private final MemorySegment hostSlots;
    private final MemorySegment hostTokens;
    private final DeviceBuffer logits;
    private final DeviceBuffer rows;
    private final DeviceBuffer lists;
    private final DeviceBuffer saved;
    private final DeviceBuffer masks;
    private final DeviceBuffer slots;
    private final DeviceBuffer tokens;
    /// Written by the device directly.
    private final PinnedMemory results;
    private final SampleRows writer;
    private final SampleResults reader;

    SampleCheck(Kernels kernels, Size size) {
        Device device = kernels.device();
        this.size = size;
        this.stream = device.stream();
        this.sample = new Sample(kernels, size.vocabSize(), size.threads(), size.capacity());
        long listBytes = 64 + 40L * size.rows() * size.vocabSize();
        this.hostLogits = pinned(device, (long) size.rows() * size.stride() * Float.BYTES);
        this.hostRows = pinned(device, (long) size.rows() * SampleRows.ROW_BYTES);
        this.hostLists = pinned(device, listBytes);
        this.hostMasks = pinned(device, size.rows() * SampleRows.maskBytes(size.vocabSize()));
        this.hostSlots = pinned(device, size.rows() * 4L);
        this.hostTokens = pinned(device, size.rows() * 4L);
        this.logits = device.allocate(hostLogits.byteSize());
        this.rows = device.allocate(hostRows.byteSize());
        this.lists = device.allocate(listBytes);
        this.saved = device.allocate(listBytes);
        this.masks = device.allocate(hostMasks.byteSize());
        this.slots = device.allocate(hostSlots.byteSize());
        this.tokens = device.allocate(hostTokens.byteSize());
        this.results = device.pinned(size.rows() * (long) SampleResults.ROW_BYTES);
        this.writer = new SampleRows(hostRows, hostLists, hostMasks, masks.address(), size.vocabSize());
        this.reader = new SampleResults(results.segment());
    }

    private MemorySegment pinned(Device device, long bytes) {
        PinnedMemory memory = device.pinned(bytes);
        pinned.add(memory);
        return memory.segment();
    }

    @Override
    public void close() {
        for (DeviceBuffer buffer : List.of(logits, rows, lists, saved, masks, slots, tokens)) {
            buffer.close();
        }
        results.close();
        pinned.forEach(PinnedMemory::close);
    }

    void check(Step step, String what) {
        write(step);
        upload();
        launch();
        download();
        stream.synchronize();
        compare(step, what);
    }

    /// The same through a graph that is recorded once.
    void checkReplays(int replays, Random random, String what) {
        try (CudaGraph graph = stream.capture(() -> {
            upload();
            launch();
            download();
        })) {
            for (int replay = 0; replay < replays; replay++) {
                Step step = SampleCases.random(random, size);
                write(step);
                graph.launch(stream);
                stream.synchronize();
                compare(step, what + ", replay " + replay);
            }
        }
    }

    private void launch() {
        sample.choose(stream, new Sample.Tensors(results.segment().address(), tokens.address(), logits.address(), size.stride(), rows.address(),
                lists.address(), saved.address(), slots.address()), size.rows());
    }

    private void write(Step step) {
        writer.clear();
        hostTokens.fill((byte) 0x5A);
        results.segment().fill((byte) 0x5A);
        hostLogits.fill((byte) 0xFF);
        for (int row = 0; row < size.rows(); row++) {
            MemorySegment.copy(step.logits()[row], 0, hostLogits, ValueLayout.JAVA_FLOAT, (long) row * size.stride() * Float.BYTES, size.vocabSize());
            Wanted wanted = step.rows()[row];
            hostSlots.setAtIndex(ValueLayout.JAVA_INT, row, wanted == null ? -1 : 3);
            writer.begin(row);
            if (wanted != null) {
                write(wanted);
            }
        }
    }

    private void write(Wanted wanted) {
        if (wanted.temperature() > 0) {
            writer.draw(wanted.temperature(), wanted.topK(), wanted.topP(), wanted.minP());
        }
        writer.random(wanted.randomSeed(), wanted.choice(), wanted.position());
        writer.penalties(wanted.repetition(), wanted.frequency(), wanted.presence());
        if (wanted.mask() != null) {
            writer.mask(i -> wanted.mask()[i]);
        }
        if (wanted.alternatives() >= 0) {
            writer.logprobs(wanted.alternatives());
        }
        if (wanted.take() >= 0) {
            writer.take(wanted.take());
        }
        for (int[] entry : wanted.penalised()) {
            writer.penalty(entry[0], entry[1]);
        }
        for (int i = 0; i < wanted.biased().length; i++) {
            writer.bias(wanted.biased()[i], wanted.biases()[i]);
        }
        for (int token : wanted.banned()) {
            writer.ban(token);
        }
        for (int token : wanted.allowed()) {
            writer.allow(token);
        }
    }

    private void upload() {
        stream.copyToDevice(logits.address(), hostLogits, hostLogits.byteSize());
        stream.copyToDevice(rows.address(), hostRows, hostRows.byteSize());
        stream.copyToDevice(lists.address(), hostLists, hostLists.byteSize());
        stream.copyToDevice(masks.address(), hostMasks, hostMasks.byteSize());
        stream.copyToDevice(slots.address(), hostSlots, hostSlots.byteSize());
        stream.copyToDevice(tokens.address(), hostTokens, hostTokens.byteSize());
    }

    private void download() {
        stream.copyToHost(hostTokens, tokens.address(), hostTokens.byteSize());
        stream.copyToHost(hostLogits, logits.address(), hostLogits.byteSize());
    }

    private void compare(Step step, String what) {
        for (int row = 0; row < size.rows(); row++) {
            Wanted wanted = step.rows()[row];
            String where = what + ", " + size + ", row " + row + ", " + describe(wanted);
            int token = hostTokens.getAtIndex(ValueLayout.JAVA_INT, row);
            if (wanted == null) {
                equal(where + ": outcome", SampleResults.Outcome.PADDED, reader.outcome(row));
                equal(where + ": token of a padded row", -1, token);
                equal(where + ": result of a padded row", GUARD, reader.token(row));
            } else {
                compare(where, step.logits()[row], NaiveSampler.choose(step.logits()[row], wanted), wanted.alternatives(), row, token);
            }
            for (int i = 0; i < size.vocabSize(); i++) {
                equal(where + ": logit " + i + " afterwards", Float.floatToRawIntBits(step.logits()[row][i]),
                        hostLogits.getAtIndex(ValueLayout.JAVA_INT, (long) row * size.stride() + i));
            }
        }
    }

    private void compare(String where, float[] values, Chosen expected, int alternatives, int row, int token) {
        equal(where + ": outcome", expected.outcome(), reader.outcome(row));
        equal(where + ": token", expected.token(), reader.token(row));
        equal(where + ": token on the device", expected.token(), token);
        boolean reports = expected.outcome() == SampleResults.Outcome.CHOSEN && alternatives >= 0;
        equal(where + ": alternatives", reports ? expected.top().length : -1, reader.alternatives(row));
        if (reports) {
            equal(where + ": total", expected.total(), reader.total(row));
            equal(where + ": logit", bits(values[expected.token()]), bits(reader.logit(row)));
            equal(where + ": largest", bits(values[NaiveSampler.best(values)]), bits(reader.largest(row)));
            for (int i = 0; i < expected.top().length; i++) {
                equal(where + ": alternative " + i, expected.top()[i], reader.topToken(row, i));
                equal(where + ": logit of alternative " + i, bits(values[expected.top()[i]]), bits(reader.topLogit(row, i)));
            }
        }
    }

    private static int bits(float value) {
        return Float.floatToRawIntBits(value);
    }

    private static void equal(String what, Object expected, Object found) {
        if (!expected.equals(found)) {
            throw new AssertionError(what + " is " + found + ", expected " + expected);
        }
    }

    private static String describe(Wanted wanted) {
        if (wanted == null) {
            return "padded";
        }
        return "T " + wanted.temperature() + " k " + wanted.topK() + " p " + wanted.topP() + " min " + wanted.minP() + " penalties "
                + wanted.repetition() + " " + wanted.frequency() + " " + wanted.presence() + " on " + Arrays.deepToString(first(wanted.penalised()))
                + " bias on " + wanted.biased().length + " banned " + wanted.banned().length + " allowed " + wanted.allowed().length
                + (wanted.mask() == null ? "" : " masked") + " alternatives " + wanted.alternatives()
                + " take " + wanted.take();
    }

    private static int[][] first(int[][] entries) {
        return Arrays.copyOf(entries, Math.min(3, entries.length));
    }

    /// Hands over a step's tokens at random, and compares.
    static void checkHandOver(Kernels kernels, int rows, long seed) {
        Random random = new Random(seed);
        Device device = kernels.device();
        Stream stream = device.stream();
        int before = 1 + random.nextInt(2 * rows);
        int[] tokens = IntStream.range(0, before).map(_ -> random.nextInt(4) == 0 ? -1 : random.nextInt(1000)).toArray();
        int[] source = IntStream.range(0, rows).map(_ -> random.nextInt(3) == 0 ? -1 : random.nextInt(before)).toArray();
        int[] slots = IntStream.range(0, rows).map(_ -> random.nextInt(4) == 0 ? -1 : random.nextInt(50)).toArray();
        int[][] inOut = {random.ints(rows, 2000, 3000).toArray(), slots};
        int[][] expected = {inOut[0].clone(), slots.clone()};
        for (int row = 0; row < rows; row++) {
            if (source[row] >= 0 && slots[row] >= 0) {
                int token = tokens[source[row]];
                expected[0][row] = Math.max(0, token);
                expected[1][row] = token < 0 ? -1 : slots[row];
            }
        }
        int[][] arrays = {inOut[0], inOut[1], tokens, source};
        DeviceBuffer[] buffers = new DeviceBuffer[arrays.length];
        try (Arena arena = Arena.ofConfined()) {
            for (int i = 0; i < arrays.length; i++) {
                buffers[i] = device.allocate(arrays[i].length * 4L);
                stream.copyToDevice(buffers[i].address(), arena.allocateFrom(ValueLayout.JAVA_INT, arrays[i]), arrays[i].length * 4L);
            }
            new Sample(kernels, 1000).handOver(stream, new Sample.NextStep(buffers[0].address(), buffers[1].address(), buffers[2].address(),
                    buffers[3].address()), rows);
            for (int i = 0; i < expected.length; i++) {
                MemorySegment found = arena.allocate(rows * 4L, 4);
                stream.copyToHost(found, buffers[i].address(), rows * 4L);
                stream.synchronize();
                equal("seed " + seed + ", array " + i + " of " + rows + " rows", Arrays.toString(expected[i]),
                        Arrays.toString(found.toArray(ValueLayout.JAVA_INT)));
            }
        } finally {
            for (DeviceBuffer buffer : buffers) {
                if (buffer != null) {
                    buffer.close();
                }
            }
        }
    }
}
