package dev.sidewinder.cuda.emulator;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.LaunchShape;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// Kernels that are right run on the emulator as on a device.
class EmulatorTest {

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    @Test
    void runsAKernelOverSeveralBlocks() {
        int count = 1000;
        try (Arena arena = Arena.ofConfined();
                DeviceBuffer x = emulator.device().allocate(4 * count);
                DeviceBuffer y = emulator.device().allocate(4 * count)) {
            Stream stream = emulator.device().stream();
            MemorySegment host = arena.allocate(JAVA_FLOAT, count);
            for (int i = 0; i < count; i++) {
                host.setAtIndex(JAVA_FLOAT, i, i);
            }
            stream.copyToDevice(x.address(), host, 4 * count);

            emulator.kernels().get("emulator_samples", "scale_f32").arguments()
                    .pointer(y.address()).pointer(x.address()).int32(count).float32(2.5f)
                    .launch(stream, new LaunchShape(8, 1, 1, 128, 0));
            stream.copyToHost(host, y.address(), 4 * count);
            stream.synchronize();

            for (int i = 0; i < count; i++) {
                assertThat(host.getAtIndex(JAVA_FLOAT, i)).isEqualTo(2.5f * i);
            }
        }
    }

    @Test
    void lanesAndWarpsOfABlockAddUp() {
        int blocks = 5;
        try (Arena arena = Arena.ofConfined();
                DeviceBuffer x = emulator.device().allocate(4 * 256 * blocks);
                DeviceBuffer sums = emulator.device().allocate(4 * blocks)) {
            Stream stream = emulator.device().stream();
            stream.fillWords(x.address(), Float.floatToRawIntBits(0.5f), 256 * blocks);
            emulator.kernels().get("emulator_samples", "block_sums_f32").arguments()
                    .pointer(sums.address()).pointer(x.address()).int32(256 * blocks - 10)
                    .launch(stream, new LaunchShape(blocks, 1, 1, 256, 0));
            MemorySegment host = arena.allocate(JAVA_FLOAT, blocks);
            stream.copyToHost(host, sums.address(), 4 * blocks);
            stream.synchronize();

            assertThat(host.toArray(JAVA_FLOAT)).containsExactly(128, 128, 128, 128, 123);
        }
    }
}
