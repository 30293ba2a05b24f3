package dev.sidewinder.cuda.emulator;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Event;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.LaunchShape;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Streams, events and graphs: in order where the program says so, late where it does not wait.
class EmulatedStreamsTest {

    private static final LaunchShape ONE_WARP = new LaunchShape(1, 1, 1, 32, 0);

    /// y[0] += 1, y[1] += x[0].
    private static void accumulate(Emulator emulator, Stream stream, DeviceBuffer y, DeviceBuffer x) {
        emulator.kernels().get("emulator_faults", "accumulate").arguments().pointer(y.address()).pointer(x.address())
                .launch(stream, ONE_WARP);
    }

    private static void scale(Emulator emulator, Stream stream, DeviceBuffer y, DeviceBuffer x, int count, float factor) {
        emulator.kernels().get("emulator_samples", "scale_f32").arguments().pointer(y.address()).pointer(x.address())
                .int32(count).float32(factor).launch(stream, new LaunchShape((count + 127) / 128, 1, 1, 128, 0));
    }

    private static EmulatorSettings settings(long seed, boolean lazy) {
        return lazy ? EmulatorSettings.withSeed(seed).lazily() : EmulatorSettings.withSeed(seed);
    }

    @ParameterizedTest
    @ValueSource(booleans = {false, true})
    void aThousandReplaysOfAGraphReadWhatIsInMemoryThen(boolean lazy) {
        try (Emulator emulator = Emulator.open(settings(7, lazy));
                DeviceBuffer y = Floats.upload(emulator.device(), 0, 0);
                DeviceBuffer x = Floats.upload(emulator.device(), 0);
                PinnedMemory input = emulator.device().pinned(4)) {
            Device device = emulator.device();
            Stream stream = device.stream();
            try (CudaGraph graph = stream.capture(() -> {
                stream.copyToDevice(x.address(), input.segment(), 4);
                accumulate(emulator, stream, y, x);
            })) {
                assertThat(Floats.download(y, device)).as("capturing runs nothing").containsExactly(0, 0);
                long sum = 0;
                for (int replay = 1; replay <= 1000; replay++) {
                    input.segment().set(JAVA_FLOAT, 0, replay % 17);
                    sum += replay % 17;
                    graph.launch(stream);
                    stream.synchronize();
                }
                assertThat(Floats.download(y, device)).containsExactly(1000, sum);
            }
        }
    }

    @Test
    void parametersAreTakenWhenAGraphIsCaptured() {
        try (Emulator emulator = Emulator.open(3);
                DeviceBuffer x = Floats.upload(emulator.device(), 1, 2, 3);
                DeviceBuffer y = Floats.upload(emulator.device(), 0, 0, 0)) {
            Stream stream = emulator.device().stream();
            try (CudaGraph graph = stream.capture(() -> scale(emulator, stream, y, x, 3, 10))) {
                // The kernel's argument memory is used again by this launch.
                scale(emulator, stream, y, x, 3, 2);
                assertThat(Floats.download(y, emulator.device())).containsExactly(2, 4, 6);
                graph.launch(stream);
                assertThat(Floats.download(y, emulator.device())).containsExactly(10, 20, 30);
                graph.update(stream, () -> scale(emulator, stream, y, x, 2, 100));
                graph.launch(stream);
                assertThat(Floats.download(y, emulator.device())).containsExactly(100, 200, 30);
            }
        }
    }

    @Test
    void aGraphOverTwoStreamsKeepsItsDependencies() {
        for (long seed = 1; seed <= 20; seed++) {
            try (Emulator emulator = Emulator.open(seed);
                    Stream second = emulator.device().newStream();
                    Event forked = emulator.device().newEvent();
                    Event joined = emulator.device().newEvent();
                    DeviceBuffer x = Floats.upload(emulator.device(), 1, 2);
                    DeviceBuffer y = Floats.upload(emulator.device(), 0, 0);
                    DeviceBuffer z = Floats.upload(emulator.device(), 0, 0);
                    DeviceBuffer result = Floats.upload(emulator.device(), 0, 0)) {
                Stream stream = emulator.device().stream();
                try (CudaGraph graph = stream.capture(() -> {
                    scale(emulator, stream, y, x, 2, 10);
                    stream.record(forked);
                    second.waitFor(forked);
                    scale(emulator, second, z, y, 2, 2);
                    second.record(joined);
                    stream.waitFor(joined);
                    scale(emulator, stream, result, z, 2, 3);
                })) {
                    graph.launch(stream);
                    assertThat(Floats.download(result, emulator.device())).as("seed %d", seed).containsExactly(60, 120);
                }
            }
        }
    }

    @Test
    void aStreamThatIsNotJoinedIsReported() {
        try (Emulator emulator = Emulator.open(1);
                Stream second = emulator.device().newStream();
                Event forked = emulator.device().newEvent();
                DeviceBuffer x = Floats.upload(emulator.device(), 1, 2);
                DeviceBuffer y = Floats.upload(emulator.device(), 0, 0)) {
            Stream stream = emulator.device().stream();
            assertThatThrownBy(() -> stream.capture(() -> {
                scale(emulator, stream, y, x, 2, 10);
                stream.record(forked);
                second.waitFor(forked);
                scale(emulator, second, y, y, 2, 2);
            })).isInstanceOf(CudaException.class).hasMessageContaining("CUDA_ERROR_STREAM_CAPTURE_UNJOINED");
        }
    }

    @Test
    void callsThatACaptureForbidsAreRefusedAndSpoilIt() {
        try (Emulator emulator = Emulator.open(1); DeviceBuffer x = Floats.upload(emulator.device(), 1)) {
            Device device = emulator.device();
            Stream stream = device.stream();
            assertThatThrownBy(() -> stream.capture(() -> device.allocate(64)))
                    .isInstanceOf(CudaException.class).hasMessageContaining("cuMemAlloc while a stream is captured");
            assertThatThrownBy(() -> stream.capture(device::synchronize))
                    .isInstanceOf(CudaException.class).hasMessageContaining("CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED");
            assertThatThrownBy(() -> stream.capture(() -> {
                try {
                    device.synchronize();
                } catch (CudaException e) {
                    stream.fill(x.address(), (byte) 0, 4);
                }
            })).isInstanceOf(CudaException.class).hasMessageContaining("CUDA_ERROR_STREAM_CAPTURE_INVALIDATED");

            // and the stream works on
            stream.fillWords(x.address(), Float.floatToRawIntBits(4), 1);
            assertThat(Floats.download(x, device)).containsExactly(4);
        }
    }

    @Test
    void aLazyStreamRunsWhenTheHostWaits() {
        try (Emulator emulator = Emulator.open(EmulatorSettings.withSeed(1).lazily());
                DeviceBuffer x = emulator.device().allocate(4);
                DeviceBuffer y = Floats.upload(emulator.device(), 0, 0);
                PinnedMemory in = emulator.device().pinned(4);
                PinnedMemory out = emulator.device().pinned(8)) {
            Stream stream = emulator.device().stream();
            in.segment().set(JAVA_FLOAT, 0, 5);
            stream.copyToDevice(x.address(), in.segment(), 4);
            accumulate(emulator, stream, y, x);
            stream.copyToHost(out.segment(), y.address(), 8);

            // The host overwrites what the stream has yet to read, and reads what it has yet to write: both show.
            in.segment().set(JAVA_FLOAT, 0, 9);
            assertThat(out.segment().get(JAVA_FLOAT, 0)).isNaN();
            stream.synchronize();
            assertThat(out.segment().get(JAVA_FLOAT, 0)).isEqualTo(1);
            assertThat(out.segment().get(JAVA_FLOAT, 4)).isEqualTo(9);
        }
    }

    @Test
    void aMissingEventBetweenLazyStreamsShowsUnderSomeSeedAndAnEventHelpsUnderAll() {
        int wrong = 0;
        for (long seed = 1; seed <= 20; seed++) {
            for (boolean ordered : new boolean[] {true, false}) {
                try (Emulator emulator = Emulator.open(EmulatorSettings.withSeed(seed).lazily());
                        Stream second = emulator.device().newStream();
                        Event ready = emulator.device().newEvent();
                        DeviceBuffer x = Floats.upload(emulator.device(), 1, 2);
                        DeviceBuffer y = Floats.upload(emulator.device(), 0, 0);
                        DeviceBuffer z = Floats.upload(emulator.device(), 0, 0)) {
                    Device device = emulator.device();
                    scale(emulator, device.stream(), y, x, 2, 10);
                    device.stream().record(ready);
                    if (ordered) {
                        second.waitFor(ready);
                    }
                    scale(emulator, second, z, y, 2, 3);
                    device.synchronize();
                    float[] result = Floats.download(z, device);
                    if (ordered) {
                        assertThat(result).as("seed %d", seed).containsExactly(30, 60);
                    } else if (result[0] != 30) {
                        wrong++;
                    }
                }
            }
        }
        assertThat(wrong).as("seeds that show the missing event").isBetween(5, 19);
    }

    @Test
    void memoryFreedByMistakeUnderAGraphIsReported() {
        try (Emulator emulator = Emulator.open(1); DeviceBuffer y = Floats.upload(emulator.device(), 0, 0)) {
            Stream stream = emulator.device().stream();
            DeviceBuffer x = Floats.upload(emulator.device(), 1);
            try (CudaGraph graph = stream.capture(() -> accumulate(emulator, stream, y, x))) {
                x.close();
                assertThatThrownBy(() -> graph.launch(stream)).isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel accumulate").hasMessageContaining("parameter 1")
                        .hasMessageContaining("freed device allocation");
            }
        }
    }

    @Test
    void copiesBesideAnAllocationAreRefused() {
        try (Emulator emulator = Emulator.open(1); DeviceBuffer x = emulator.device().allocate(100)) {
            Stream stream = emulator.device().stream();
            assertThatThrownBy(() -> stream.copy(x.address() + 1, x.address(), 100))
                    .isInstanceOf(CudaException.class).hasMessageContaining("the target of 100 bytes");
            assertThatThrownBy(() -> stream.fill(x.address(), (byte) 1, 101))
                    .isInstanceOf(CudaException.class).hasMessageContaining("the target of 101 bytes");
        }
    }

    @Test
    void theDeviceHasAnEnd() {
        try (Emulator emulator = Emulator.open(EmulatorSettings.withSeed(1).withTotalBytes(1 << 20));
                DeviceBuffer half = emulator.device().allocate(1 << 19)) {
            assertThat(emulator.device().freeBytes()).isEqualTo((1 << 20) - half.bytes());
            assertThatThrownBy(() -> emulator.device().allocate((1 << 19) + 1))
                    .isInstanceOfSatisfying(CudaException.class, e -> assertThat(e.isOutOfMemory()).isTrue())
                    .hasMessageContaining("524288 of 1048576 are in use");
        }
    }

    @Test
    void whatWasNeverWrittenToPinnedMemoryIsNaN() {
        try (Emulator emulator = Emulator.open(1); PinnedMemory pinned = emulator.device().pinned(64)) {
            MemorySegment segment = pinned.segment();
            assertThat(segment.get(JAVA_FLOAT, 60)).isNaN();
        }
    }
}
