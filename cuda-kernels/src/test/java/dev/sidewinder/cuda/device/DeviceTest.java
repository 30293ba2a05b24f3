package dev.sidewinder.cuda.device;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import java.lang.foreign.ValueLayout;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

class DeviceTest {

    private static final long TOTAL_BYTES = 1 << 20;

    @BeforeEach
    void reset() {
        Emulator.reset(EmulatorSettings.withSeed(1).withTotalBytes(TOTAL_BYTES).withMultiprocessors(5));
    }

    private static Device open() {
        return Device.open(Emulator.driver(), 0);
    }

    @Test
    void saysWhatItIs() {
        try (Device device = open()) {
            DeviceInfo info = device.info();
            assertThat(info.name()).isNotBlank().doesNotContain("\0");
            assertThat(info.multiprocessors()).isEqualTo(5);
            assertThat(info.totalBytes()).isEqualTo(TOTAL_BYTES);
            assertThat(info.sharedBytesPerBlock()).isEqualTo(227 << 10);
            assertThat(info.driverVersion()).isGreaterThanOrEqualTo(12_000);
            assertThat(info.toString()).contains(info.name()).contains("5 multiprocessors").contains("driver for CUDA 12.");
            assertThat(device).hasToString("CUDA device 0 (" + info.name() + ")");
        }
    }

    @Test
    void namesADeviceThatIsNotThere() {
        assertThat(Device.count(Emulator.driver())).isEqualTo(1);
        for (int ordinal : new int[] {1, -1, Integer.MAX_VALUE}) {
            assertThatThrownBy(() -> Device.open(Emulator.driver(), ordinal))
                    .isInstanceOf(CudaUnavailableException.class)
                    .hasMessage("there is no CUDA device " + ordinal + "; the driver " + Emulator.driver()
                            + " offers device 0 only");
        }
    }

    @Test
    void tellsBrokenHardwareFromBrokenPrograms() {
        for (int code : new int[] {214, 220, 714}) {
            assertThat(new CudaException("cuStreamSynchronize", code, "").isHardwareFault()).as("code %d", code).isTrue();
        }
        for (int code : new int[] {1, 2, 100, 213, 215, 700, 719, 999}) {
            assertThat(new CudaException("cuStreamSynchronize", code, "").isHardwareFault()).as("code %d", code).isFalse();
        }
        for (int code : new int[] {200, 209, 218, 222}) {
            assertThat(new CudaException("cuModuleLoadData", code, "").isImageRefused()).as("code %d", code).isTrue();
        }
        assertThat(new CudaException("cuModuleLoadData", 2, "").isImageRefused()).isFalse();
    }

    @Test
    void pinsMoreThanAByteBufferHolds() {
        long bytes = (2L << 30) + 4096;
        try (Device device = open(); PinnedMemory memory = device.pinned(bytes); DeviceBuffer word = device.allocate(4)) {
            memory.segment().set(ValueLayout.JAVA_INT, bytes - 4, 42);
            device.stream().copyToDevice(word.address(), memory.segment().asSlice(bytes - 4), 4);
            device.stream().copyToHost(memory.segment(), word.address(), 4);
            device.stream().synchronize();
            assertThat(memory.segment().get(ValueLayout.JAVA_INT, 0)).isEqualTo(42);
        }
    }

    @Test
    void memoryIsCountedAndComesBack() {
        try (Device device = open()) {
            long before = device.freeBytes();
            DeviceBuffer buffer = device.allocate(1000);
            assertThat(buffer.bytes()).isEqualTo(1000);
            assertThat(buffer.address() % 256).isZero();
            assertThat(device.freeBytes()).isLessThanOrEqualTo(before - 1000);
            assertThat(device.openThings()).isEqualTo(1);
            buffer.close();
            assertThat(device.freeBytes()).isEqualTo(before);
            assertThat(device.openThings()).isZero();
        }
    }

    @Test
    void outOfMemorySaysHowMuchWasWantedAndHarmsNothing() {
        try (Device device = open(); DeviceBuffer kept = device.allocate(1000)) {
            assertThatThrownBy(() -> device.allocate(TOTAL_BYTES))
                    .isInstanceOfSatisfying(CudaException.class, failure -> {
                        assertThat(failure.isOutOfMemory()).isTrue();
                        assertThat(failure).hasMessageStartingWith(
                                "cuMemAlloc of " + TOTAL_BYTES + " bytes failed with CUDA_ERROR_OUT_OF_MEMORY (2): out of memory");
                    });
            device.stream().fill(kept.address(), (byte) 1, 1000);
            device.allocate(1000).close();
            device.synchronize();
        }
    }

    @Test
    void refusesBuffersWithoutBytes() {
        try (Device device = open()) {
            for (long bytes : new long[] {0, -1, Long.MIN_VALUE}) {
                assertThatThrownBy(() -> device.allocate(bytes)).isInstanceOf(IllegalArgumentException.class)
                        .hasMessage("a device buffer of " + bytes + " bytes; it needs at least 1");
                assertThatThrownBy(() -> device.pinned(bytes)).isInstanceOf(IllegalArgumentException.class)
                        .hasMessage("pinned memory of " + bytes + " bytes; it needs at least 1");
            }
        }
    }

    @Test
    void aBufferKnowsItsBounds() {
        try (Device device = open(); DeviceBuffer buffer = device.allocate(100)) {
            assertThat(buffer.at(0)).isEqualTo(buffer.address());
            assertThat(buffer.at(100)).isEqualTo(buffer.address() + 100);
            assertThat(buffer.range(40, 60)).isEqualTo(buffer.address() + 40);
            for (long offset : new long[] {-1, 101, Long.MAX_VALUE, Long.MIN_VALUE}) {
                assertThatThrownBy(() -> buffer.at(offset)).isInstanceOf(IllegalArgumentException.class)
                        .hasMessage("offset " + offset + " in device buffer of 100 bytes");
            }
            for (long[] range : new long[][] {{-1, 5}, {50, 51}, {101, 0}, {0, -1}, {0, Long.MAX_VALUE}, {Long.MAX_VALUE, 1}}) {
                assertThatThrownBy(() -> buffer.range(range[0], range[1])).isInstanceOf(IllegalArgumentException.class)
                        .hasMessage(range[1] + " bytes at offset " + range[0] + " in device buffer of 100 bytes");
            }
        }
    }

    @Test
    void closingTwiceDoesNothingAndUseAfterwardsIsRefused() {
        Device device = open();
        DeviceBuffer buffer = device.allocate(8);
        PinnedMemory pinned = device.pinned(8);
        Event event = device.newEvent();
        Stream stream = device.newStream();
        CudaGraph graph = stream.capture(() -> stream.fill(buffer.address(), (byte) 0, 8));
        for (int time = 0; time < 2; time++) {
            graph.close();
            stream.close();
            event.close();
            pinned.close();
            buffer.close();
        }
        assertThat(device.openThings()).isZero();
        assertThatThrownBy(buffer::address).isInstanceOf(IllegalStateException.class)
                .hasMessage("device buffer of 8 bytes is closed");
        assertThatThrownBy(() -> pinned.segment().fill((byte) 0)).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(event::synchronize).isInstanceOf(IllegalStateException.class).hasMessage("event is closed");
        assertThatThrownBy(stream::synchronize).isInstanceOf(IllegalStateException.class).hasMessage("stream is closed");
        assertThatThrownBy(() -> graph.launch(device.stream())).isInstanceOf(IllegalStateException.class)
                .hasMessage("graph is closed");
        device.close();
        device.close();
    }

    @Test
    void nothingWorksOnAClosedDevice() {
        Device device = open();
        DeviceBuffer buffer = device.allocate(8);
        Stream main = device.stream();
        buffer.close();
        device.close();
        assertThatThrownBy(() -> device.allocate(8)).isInstanceOf(IllegalStateException.class).hasMessageEndingWith("is closed");
        assertThatThrownBy(device::stream).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(device::synchronize).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(device::freeBytes).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(main::synchronize).isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(device::moveToThisThread).isInstanceOf(IllegalStateException.class);
    }

    @Test
    void closingNamesWhatWasLeftOpenAndReleasesIt() {
        Device device = open();
        device.allocate(100);
        device.allocate(200);
        device.pinned(300);
        device.newEvent();
        Stream stream = device.newStream();
        stream.capture(() -> { });
        assertThatThrownBy(device::close).isInstanceOf(IllegalStateException.class)
                .hasMessage(device + " was closed with 6 things open: device buffer of 100 bytes, device buffer of 200 bytes, "
                        + "event, graph, pinned memory of 300 bytes, stream");
        assertThat(Emulator.liveAllocations()).isZero();
        device.close();
    }

    @Test
    void theMainStreamClosesWithItsDeviceOnly() {
        try (Device device = open()) {
            assertThatThrownBy(device.stream()::close).isInstanceOf(IllegalStateException.class)
                    .hasMessage("the main stream closes with its device");
        }
    }

    @Test
    void belongsToOneThreadAndCanMove() throws Exception {
        Device device = open();
        DeviceBuffer buffer = device.allocate(64);
        try (ExecutorService other = Executors.newSingleThreadExecutor(Thread.ofPlatform().name("other").factory())) {
            // given a thread that is not the owner, when it uses the device, then it is told so
            other.submit(() -> assertThatThrownBy(device::freeBytes).isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("belongs to thread " + Thread.currentThread().getName().replace("other", ""))
                    .hasMessageContaining("was used by other; call moveToThisThread() there first"))
                    .get(60, TimeUnit.SECONDS);

            // when the device has moved there, then it works there, with what was made before, and no longer here
            other.submit(() -> {
                device.moveToThisThread();
                device.stream().fill(buffer.address(), (byte) 3, 64);
                device.stream().synchronize();
            }).get(60, TimeUnit.SECONDS);
            assertThatThrownBy(buffer::close).isInstanceOf(IllegalStateException.class)
                    .hasMessageContaining("belongs to thread other");
            device.moveToThisThread();
        }
        buffer.close();
        device.close();
    }

    @Test
    void canBeOpenedAgain() {
        for (int time = 0; time < 3; time++) {
            try (Device device = open(); DeviceBuffer buffer = device.allocate(TOTAL_BYTES / 2)) {
                device.stream().fill(buffer.address(), (byte) time, buffer.bytes());
                device.stream().synchronize();
            }
        }
        assertThat(Emulator.liveAllocations()).isZero();
    }

    @Test
    void anImageThatIsNoneIsNamed() {
        try (Device device = open()) {
            assertThatThrownBy(() -> device.load("nonsense", new byte[4096])).isInstanceOf(CudaException.class)
                    .hasMessageContaining("cuModuleLoadData of nonsense failed with CUDA_ERROR_INVALID_IMAGE (200)");
        }
    }

    @Test
    void oneProcessHasOneDriver() {
        open().close();
        assertThatThrownBy(() -> Device.open(Driver.at(java.nio.file.Path.of("/other/libcuda.so.1")), 0))
                .isInstanceOf(CudaUnavailableException.class)
                .hasMessage("this process has loaded the driver " + Emulator.driver()
                        + " and cannot load /other/libcuda.so.1 beside it; start another process");
    }
}
