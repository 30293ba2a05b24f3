package dev.sidewinder.cuda.device;

import static java.lang.foreign.ValueLayout.JAVA_BYTE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import java.io.IOException;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;
import org.junit.jupiter.api.io.TempDir;

class StreamTest {

    private static final int BYTES = 1000;

    @TempDir
    Path folder;

    /// Work waits until the host synchronises: what is seen earlier is a mistake.
    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(EmulatorSettings.withSeed(0).lazily());

    private static byte[] random(int bytes, long seed) {
        byte[] data = new byte[bytes];
        new Random(seed).nextBytes(data);
        return data;
    }

    @Test
    void copiesThereAndBackThroughEveryKindOfHostMemory() throws IOException {
        byte[] data = random(BYTES, 1);
        Path file = Files.write(folder.resolve("weights"), data);
        Device device = emulator.device();
        try (Arena arena = Arena.ofShared();
                FileChannel channel = FileChannel.open(file);
                PinnedMemory pinned = device.pinned(BYTES);
                DeviceBuffer buffer = device.allocate(BYTES)) {
            MemorySegment plain = arena.allocateFrom(JAVA_BYTE, data);
            pinned.segment().copyFrom(plain);
            MemorySegment mapped = channel.map(FileChannel.MapMode.READ_ONLY, 0, BYTES, arena);
            for (MemorySegment source : new MemorySegment[] {plain, pinned.segment(), mapped}) {
                // given memory that holds something else
                device.stream().fill(buffer.address(), (byte) 0, BYTES);
                device.stream().copyToDevice(buffer.address(), source, BYTES);

                // when it comes back, then it is what was sent
                MemorySegment back = arena.allocate(BYTES);
                device.stream().copyToHost(back, buffer.address(), BYTES);
                device.stream().synchronize();
                assertThat(back.toArray(JAVA_BYTE)).isEqualTo(data);
            }
            MemorySegment first = pinned.segment().fill((byte) 0);
            device.stream().copyToHost(first, buffer.address(), BYTES);
            device.stream().synchronize();
            assertThat(first.toArray(JAVA_BYTE)).isEqualTo(data);
        }
    }

    @Test
    void copiesPartsAtOddOffsets() {
        Device device = emulator.device();
        byte[] data = random(BYTES, 2);
        try (Arena arena = Arena.ofConfined(); DeviceBuffer buffer = device.allocate(BYTES)) {
            MemorySegment host = arena.allocateFrom(JAVA_BYTE, data);
            device.stream().fill(buffer.address(), (byte) 9, BYTES);
            device.stream().copyToDevice(buffer.at(13), host.asSlice(7, 501), 501);
            MemorySegment back = arena.allocate(BYTES);
            device.stream().copyToHost(back.asSlice(3), buffer.at(12), 503);
            device.stream().synchronize();
            assertThat(back.get(JAVA_BYTE, 3)).isEqualTo((byte) 9);
            assertThat(back.asSlice(4, 501).mismatch(host.asSlice(7, 501))).isEqualTo(-1);
            assertThat(back.get(JAVA_BYTE, 505)).isEqualTo((byte) 9);
            assertThat(back.get(JAVA_BYTE, 506)).isEqualTo((byte) 0);
        }
    }

    @Test
    void largeCopiesAreCutIntoSlices() {
        Device device = emulator.device();
        byte[] data = random(BYTES, 3);
        try (Arena arena = Arena.ofConfined(); DeviceBuffer buffer = device.allocate(BYTES)) {
            MemorySegment host = arena.allocateFrom(JAVA_BYTE, data);
            for (long slice : new long[] {1, 7, 499, 500, 999, 1000, 1001}) {
                HostTransfer transfer = new HostTransfer(device, slice);
                device.stream().fill(buffer.address(), (byte) 0, BYTES);
                transfer.toDevice(device.stream().handle(), buffer.address(), host, BYTES);
                MemorySegment back = arena.allocate(BYTES);
                transfer.toHost(device.stream().handle(), back, buffer.address(), BYTES);
                device.stream().synchronize();
                assertThat(back.toArray(JAVA_BYTE)).as("slices of %d", slice).isEqualTo(data);
            }
        }
    }

    @Test
    void nothingIsCopiedWhenNothingIsAsked() {
        Device device = emulator.device();
        try (Arena arena = Arena.ofConfined(); DeviceBuffer buffer = device.allocate(16)) {
            device.stream().copyToDevice(buffer.at(16), arena.allocate(1), 0);
            device.stream().copyToHost(arena.allocate(1), buffer.at(16), 0);
            device.stream().copy(buffer.at(16), buffer.at(16), 0);
            device.stream().fill(buffer.at(16), (byte) 1, 0);
            device.stream().fillWords(buffer.at(16), 1, 0);
            device.stream().synchronize();
        }
    }

    @Test
    void refusesHostMemoryItCannotUse() {
        Stream stream = emulator.device().stream();
        try (Arena arena = Arena.ofConfined(); DeviceBuffer buffer = emulator.device().allocate(64)) {
            MemorySegment heap = MemorySegment.ofArray(new byte[64]);
            assertThatThrownBy(() -> stream.copyToDevice(buffer.address(), heap, 64)).isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("copy to the device: the host memory is on the Java heap; it must be native, mapped or pinned");
            assertThatThrownBy(() -> stream.copyToHost(heap, buffer.address(), 64)).isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("copy to the host: the host memory is on the Java heap; it must be native, mapped or pinned");
            MemorySegment small = arena.allocate(10);
            assertThatThrownBy(() -> stream.copyToDevice(buffer.address(), small, 11))
                    .isInstanceOf(IllegalArgumentException.class)
                    .hasMessage("copy to the device: 11 bytes of host memory that has 10");
            assertThatThrownBy(() -> stream.copyToHost(small, buffer.address(), -1))
                    .isInstanceOf(IllegalArgumentException.class).hasMessage("copy to the host: -1 bytes of host memory that has 10");
            assertThatThrownBy(() -> stream.copyToHost(small.asReadOnly(), buffer.address(), 10))
                    .isInstanceOf(IllegalArgumentException.class).hasMessage("copy to the host: the target is read-only");
        }
    }

    @Test
    void refusesCountsAndAddressesThatCannotBeMeant() {
        Stream stream = emulator.device().stream();
        try (DeviceBuffer buffer = emulator.device().allocate(64)) {
            assertThatThrownBy(() -> stream.copy(buffer.address(), buffer.address(), -1)).hasMessage("copy within the device of -1");
            assertThatThrownBy(() -> stream.fill(buffer.address(), (byte) 0, -2)).hasMessage("fill of -2");
            assertThatThrownBy(() -> stream.fillWords(buffer.address(), 0, -3)).hasMessage("fill of words of -3");
            assertThatThrownBy(() -> stream.fillWords(buffer.address() + 2, 0, 1)).isInstanceOf(IllegalArgumentException.class)
                    .hasMessageContaining("which is no multiple of 4");
        }
    }

    @Test
    void copiesBeyondABufferFailWithTheNameOfTheCall() {
        Stream stream = emulator.device().stream();
        try (Arena arena = Arena.ofConfined(); DeviceBuffer buffer = emulator.device().allocate(64)) {
            MemorySegment host = arena.allocate(128);
            assertThatThrownBy(() -> stream.copyToDevice(buffer.address(), host, 65)).isInstanceOf(CudaException.class)
                    .hasMessageStartingWith("cuMemcpyHtoDAsync of 65 bytes failed with CUDA_ERROR_INVALID_VALUE (1)")
                    .hasMessageContaining("65 bytes");
            assertThatThrownBy(() -> stream.copyToHost(host, buffer.at(1), 64)).isInstanceOf(CudaException.class)
                    .hasMessageStartingWith("cuMemcpyDtoHAsync of 64 bytes failed with");
            assertThatThrownBy(() -> stream.copy(buffer.at(32), buffer.at(0), 33)).isInstanceOf(CudaException.class)
                    .hasMessageStartingWith("cuMemcpyDtoDAsync of 33 bytes failed with");
            assertThatThrownBy(() -> stream.fill(buffer.at(1), (byte) 0, 64)).isInstanceOf(CudaException.class)
                    .hasMessageStartingWith("cuMemsetD8Async of 64 bytes failed with");
            assertThatThrownBy(() -> stream.fillWords(buffer.at(0), 0, 17)).isInstanceOf(CudaException.class)
                    .hasMessageStartingWith("cuMemsetD32Async of 17 words failed with");
            assertThatThrownBy(() -> stream.copyToDevice(host.address(), host, 64)).isInstanceOf(CudaException.class);
        }
    }

    @Test
    void fillsBytesAndWords() {
        Stream stream = emulator.device().stream();
        try (Arena arena = Arena.ofConfined(); DeviceBuffer buffer = emulator.device().allocate(64)) {
            stream.fill(buffer.address(), (byte) -2, 64);
            stream.fillWords(buffer.at(16), 0x01020304, 5);
            stream.copy(buffer.at(48), buffer.at(20), 4);
            MemorySegment back = arena.allocate(64, 4);
            stream.copyToHost(back, buffer.address(), 64);
            stream.synchronize();
            assertThat(back.getAtIndex(JAVA_INT, 3)).isEqualTo(0xfefefefe);
            assertThat(back.getAtIndex(JAVA_INT, 4)).isEqualTo(0x01020304);
            assertThat(back.getAtIndex(JAVA_INT, 8)).isEqualTo(0x01020304);
            assertThat(back.getAtIndex(JAVA_INT, 9)).isEqualTo(0xfefefefe);
            assertThat(back.getAtIndex(JAVA_INT, 12)).isEqualTo(0x01020304);
        }
    }

    @Test
    void pinnedMemoryHoldsTheDataWhenTheStreamHasPassedAndNotBefore() {
        Device device = emulator.device();
        try (DeviceBuffer buffer = device.allocate(4); PinnedMemory host = device.pinned(4)) {
            host.segment().set(JAVA_INT, 0, 5);
            device.stream().fillWords(buffer.address(), 6, 1);
            device.stream().copyToHost(host.segment(), buffer.address(), 4);
            assertThat(host.segment().get(JAVA_INT, 0)).isEqualTo(5);
            device.stream().synchronize();
            assertThat(host.segment().get(JAVA_INT, 0)).isEqualTo(6);
        }
    }

    @Test
    void anEventSaysWhenAStreamHasPassed() {
        Device device = emulator.device();
        try (DeviceBuffer buffer = device.allocate(4);
                PinnedMemory host = device.pinned(4);
                Event before = device.newEvent();
                Event after = device.newEvent()) {
            assertThat(after.isPassed()).as("never recorded").isTrue();
            device.stream().record(before);
            device.stream().fillWords(buffer.address(), 6, 1);
            device.stream().copyToHost(host.segment(), buffer.address(), 4);
            device.stream().record(after);
            assertThat(after.isPassed()).isFalse();
            after.synchronize();
            assertThat(after.isPassed()).isTrue();
            assertThat(host.segment().get(JAVA_INT, 0)).isEqualTo(6);
            assertThat(after.millisSince(before)).isGreaterThanOrEqualTo(0);
            assertThat(device.stream().isIdle()).isTrue();
        }
    }

    @Test
    void aStreamWaitsForAnEventOfAnother() {
        Device device = emulator.device();
        try (DeviceBuffer buffer = device.allocate(4);
                PinnedMemory host = device.pinned(4);
                Stream other = device.newStream();
                Event ready = device.newEvent()) {
            for (int value = 1; value < 20; value++) {
                // given a value that one stream writes and another brings back, when the second waits for the first
                device.stream().fillWords(buffer.address(), value, 1);
                device.stream().record(ready);
                other.waitFor(ready);
                other.copyToHost(host.segment(), buffer.address(), 4);
                other.synchronize();

                // then it brings that value
                assertThat(host.segment().get(JAVA_INT, 0)).isEqualTo(value);
            }
        }
    }

    @Test
    void aCaptureRecordsAndDoesNotRun() {
        Device device = emulator.device();
        Stream stream = device.stream();
        try (DeviceBuffer buffer = device.allocate(4); PinnedMemory host = device.pinned(4)) {
            stream.fillWords(buffer.address(), 1, 1);
            try (CudaGraph graph = stream.capture(() -> stream.fillWords(buffer.address(), 2, 1))) {
                stream.copyToHost(host.segment(), buffer.address(), 4);
                stream.synchronize();
                assertThat(host.segment().get(JAVA_INT, 0)).isEqualTo(1);
                graph.launch(stream);
                stream.copyToHost(host.segment(), buffer.address(), 4);
                stream.synchronize();
                assertThat(host.segment().get(JAVA_INT, 0)).isEqualTo(2);
            }
        }
    }

    @Test
    void aGraphRunsAThousandTimesOnChangingInputs() {
        Device device = emulator.device();
        Stream stream = device.stream();
        try (DeviceBuffer buffer = device.allocate(8); PinnedMemory host = device.pinned(8);
                CudaGraph graph = stream.capture(() -> {
                    stream.copyToDevice(buffer.address(), host.segment(), 4);
                    stream.copy(buffer.at(4), buffer.at(0), 4);
                    stream.copyToHost(host.segment().asSlice(4), buffer.at(4), 4);
                })) {
            for (int i = 0; i < 1000; i++) {
                host.segment().set(JAVA_INT, 0, i * 31);
                graph.launch(stream);
                stream.synchronize();
                assertThat(host.segment().get(JAVA_INT, 4)).isEqualTo(i * 31);
            }
        }
    }

    @Test
    void whatACaptureForbidsIsRefused() {
        Stream stream = emulator.device().stream();
        assertThatThrownBy(() -> stream.capture(stream::synchronize)).isInstanceOf(IllegalStateException.class)
                .hasMessage("main stream is being captured; nothing runs that could be waited for");
        assertThatThrownBy(() -> stream.capture(() -> stream.capture(() -> { }))).isInstanceOf(IllegalStateException.class)
                .hasMessage("main stream is being captured already");
        assertThatThrownBy(() -> stream.capture(() -> emulator.device().allocate(8))).isInstanceOf(CudaException.class)
                .hasMessageContaining("cuMemAlloc of 8 bytes failed with CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED (900)");
    }

    @Test
    void aFailureInACaptureLeavesTheStreamUsable() {
        Stream stream = emulator.device().stream();
        try (DeviceBuffer buffer = emulator.device().allocate(4)) {
            assertThatThrownBy(() -> stream.capture(() -> {
                stream.fillWords(buffer.address(), 3, 1);
                throw new IllegalArgumentException("of the work's own");
            })).isInstanceOf(IllegalArgumentException.class).hasMessage("of the work's own");
            stream.fillWords(buffer.address(), 4, 1);
            stream.synchronize();
            stream.capture(() -> stream.fillWords(buffer.address(), 5, 1)).close();
        }
    }

    @Test
    void anotherStreamWorksOnWhileOneIsCaptured() {
        Device device = emulator.device();
        try (Stream other = device.newStream(); DeviceBuffer buffer = device.allocate(8)) {
            device.stream().capture(() -> other.fillWords(buffer.address(), 1, 1)).close();
            other.synchronize();
        }
        assertThat(Emulator.liveAllocations()).isZero();
    }
}
