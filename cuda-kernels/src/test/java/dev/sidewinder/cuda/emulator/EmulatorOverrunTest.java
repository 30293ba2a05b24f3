package dev.sidewinder.cuda.emulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.kernel.Arguments;
import dev.sidewinder.cuda.kernel.LaunchShape;
import java.util.function.Consumer;
import java.util.function.LongFunction;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// An access outside of an allocation by a few bytes, where no page ends in between, names kernel, block and thread: a write always, a
/// read where the allocation ends at a page's end or its pages are watched. Under many seeds: the place of an allocation on its pages
/// follows from them.
class EmulatorOverrunTest {

    private static final String FAMILY = "emulator_faults";
    private static final int SEEDS = 6;
    private static final LaunchShape FOUR_BLOCKS = new LaunchShape(4, 1, 1, 64, 0);
    private static final String CULPRIT = "block (2, 0, 0), thread (17, 0, 0): ";

    private static void underManySeeds(LongFunction<EmulatorSettings> settings, Consumer<Emulator> test) {
        for (long seed = 1; seed <= SEEDS; seed++) {
            try (Emulator emulator = Emulator.open(settings.apply(seed))) {
                test.accept(emulator);
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("with seed " + seed + ": " + e.getMessage(), e);
            }
        }
    }

    private static Arguments kernel(Emulator emulator, String name) {
        return emulator.kernels().get(FAMILY, name).arguments();
    }

    private static void write(Emulator emulator, DeviceBuffer y, long offset, int bytes) {
        kernel(emulator, "write_bytes").pointer(y.address()).int64(offset).int32(bytes).int32(2).int32(17)
                .launch(emulator.device().stream(), FOUR_BLOCKS);
    }

    // ---- writes --------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(ints = {1, 16, 255, 256, 1000, 4096, 4097})
    void aByteBesideAnAllocationNamesItsThread(int bytes) {
        for (long offset : new long[] {bytes, bytes + 3L, -1, -16}) {
            underManySeeds(EmulatorSettings::withSeed, emulator -> {
                try (DeviceBuffer y = emulator.device().allocate(bytes)) {
                    assertThatThrownBy(() -> write(emulator, y, offset, 1)).isInstanceOf(CudaException.class)
                            .hasMessageContaining("kernel write_bytes, " + CULPRIT + "write to 0x")
                            .hasMessageContaining(offset < 0
                                    ? -offset + " bytes before the device allocation number"
                                    : offset - bytes + " bytes past the end of the device allocation number")
                            .hasMessageContaining("of " + bytes + " bytes");
                }
            });
        }
    }

    @ParameterizedTest
    @CsvSource({"1000, 992", "100, 96", "4100, 4096", "31, 16"})
    void aVectorThatGoesOnBeyondTheEndNamesItsThread(int bytes, int offset) {
        underManySeeds(EmulatorSettings::withSeed, emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(bytes)) {
                assertThatThrownBy(() -> write(emulator, y, offset, 16)).isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel write_bytes, " + CULPRIT + "write to 0x")
                        .hasMessageContaining("0 bytes past the end of the device allocation number");
            }
        });
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void asDoesOneInAGraphOrInWorkThatWaits(boolean graph) {
        underManySeeds(seed -> EmulatorSettings.withSeed(seed).lazily(), emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer y = device.allocate(1000)) {
                assertThatThrownBy(() -> {
                    if (graph) {
                        try (CudaGraph captured = device.stream().capture(() -> write(emulator, y, 1000, 1))) {
                            captured.launch(device.stream());
                            device.stream().synchronize();
                        }
                    } else {
                        write(emulator, y, 1000, 1);
                        device.stream().synchronize();
                    }
                }).hasMessageContaining("kernel write_bytes, " + CULPRIT + "write to 0x");
            }
        });
    }

    /// The place that is one too many follows from a counter, which the kernel itself has set back when the write is seen.
    @Test
    void whatFollowsFromACounterOfTheLaunchIsFound() {
        underManySeeds(EmulatorSettings::withSeed, emulator -> {
            try (DeviceBuffer list = emulator.device().allocate(4 * 66); DeviceBuffer places = Floats.uploadInts(emulator.device(), 3)) {
                assertThatThrownBy(() -> kernel(emulator, "append").pointer(list.address()).pointer(places.address()).int32(0)
                        .launch(emulator.device().stream(), new LaunchShape(1, 1, 1, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel append, block (0, 0, 0), thread (")
                        .hasMessageContaining("0 bytes past the end of the device allocation number 1 of 264 bytes");
            }
        });
    }

    /// Only where the counter lies far behind what a parameter points at does a second run not do what the first did.
    @Test
    void whatCannotBeRepeatedIsStillReported() {
        int[] before = new int[3000];
        before[2999] = 3;
        int[] withoutThread = new int[1];
        underManySeeds(EmulatorSettings::withSeed, emulator -> {
            try (DeviceBuffer list = emulator.device().allocate(4 * 66); DeviceBuffer places = Floats.uploadInts(emulator.device(), before)) {
                assertThatThrownBy(() -> kernel(emulator, "append").pointer(list.address()).pointer(places.address()).int32(2999)
                        .launch(emulator.device().stream(), new LaunchShape(1, 1, 1, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("0 bytes past the end of the device allocation number 1 of 264 bytes")
                        .satisfies(e -> withoutThread[0] += e.getMessage().contains("was run again to find the thread, but did not") ? 1 : 0);
            }
        });
        assertThat(withoutThread[0]).as("seeds without a thread").isPositive();
    }

    // ---- reads ---------------------------------------------------------------------------------------------------------

    private static void read(Emulator emulator, DeviceBuffer x, DeviceBuffer y, long index) {
        kernel(emulator, "read_at").pointer(y.address()).pointer(x.address()).int64(index).int32(2).int32(17)
                .launch(emulator.device().stream(), FOUR_BLOCKS);
    }

    @ParameterizedTest
    @ValueSource(ints = {4, 64, 1000, 4100})
    void aWatchedReadBesideAnAllocationNamesItsThread(int bytes) {
        for (long index : new long[] {bytes / 4, bytes / 4 + 1, -1, -4}) {
            underManySeeds(seed -> EmulatorSettings.withSeed(seed).underWatch(), emulator -> {
                Device device = emulator.device();
                try (DeviceBuffer x = Floats.upload(device, new float[bytes / 4]); DeviceBuffer y = device.allocate(4)) {
                    read(emulator, x, y, 0);
                    read(emulator, x, y, bytes / 4 - 1);
                    assertThat(Floats.download(y, device)).containsExactly(0);
                    assertThatThrownBy(() -> read(emulator, x, y, index)).isInstanceOf(CudaException.class)
                            .hasMessageContaining("kernel read_at, " + CULPRIT + "read of 0x")
                            .hasMessageContaining(index < 0 ? -4 * index + " bytes before the" : 4 * index - bytes + " bytes past the end");
                }
            });
        }
    }

    /// In an ordinary run the place decides: half of all allocations end where an access faults, the others give NaN.
    @Test
    void aReadPastTheEndIsReportedUnderHalfOfAllSeeds() {
        int[] reported = new int[1];
        for (long seed = 1; seed <= 64; seed++) {
            try (Emulator emulator = Emulator.open(seed); DeviceBuffer y = emulator.device().allocate(4);
                    DeviceBuffer x = Floats.upload(emulator.device(), new float[100])) {
                try {
                    read(emulator, x, y, 100);
                    assertThat(Floats.download(y, emulator.device())).containsExactly(Float.NaN);
                } catch (CudaException e) {
                    reported[0]++;
                    assertThat(e).hasMessageContaining("kernel read_at, " + CULPRIT + "read of 0x");
                }
            }
        }
        assertThat(reported[0]).isBetween(20, 44);
    }

    @ParameterizedTest
    @ValueSource(ints = {30, 31, 100, 256, -1, -200})
    void aWatchedAccessBesideSharedMemoryNamesItsThread(int index) {
        underManySeeds(seed -> EmulatorSettings.withSeed(seed).underWatch(), emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(128)) {
                assertThatThrownBy(() -> kernel(emulator, "shared_at").pointer(y.address()).int32(index)
                        .launch(emulator.device().stream(), new LaunchShape(1, 1, 1, 32, 4 * 30)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel shared_at, block (0, 0, 0), thread (3, 0, 0): write to 0x");
            }
        });
    }

    /// Barriers, copies that land later, bulk copies and launches that may overlap: what is right stays right, and nothing is held
    /// for a fault.
    @Test
    void whatIsRightPassesUnderWatch() {
        underManySeeds(seed -> EmulatorSettings.withSeed(seed).underWatch(), emulator -> {
            Device device = emulator.device();
            float[] values = Floats.counting(128);
            try (DeviceBuffer x = Floats.upload(device, values); DeviceBuffer y = device.allocate(512);
                    DeviceBuffer chain = Floats.upload(device, new float[1000])) {
                kernel(emulator, "copy_through_shared").pointer(y.address()).pointer(x.address()).int32(1).int32(1)
                        .launch(device.stream(), new LaunchShape(1, 1, 1, 32, 512));
                assertThat(Floats.download(y, device)).containsExactly(values);
                kernel(emulator, "bulk_through_shared").pointer(y.address()).pointer(x.address()).int32(0)
                        .launch(device.stream(), new LaunchShape(3, 1, 1, 64, 256));
                kernel(emulator, "reverse_f32").pointer(y.address()).pointer(x.address()).int32(1)
                        .launch(device.stream(), new LaunchShape(1, 1, 1, 128, 0));
                assertThat(Floats.download(y, device)).startsWith(127, 126, 125);
                for (int i = 0; i < 3; i++) {
                    kernel(emulator, "follow_f32").pointer(chain.at(256 * (i + 1))).pointer(chain.at(256 * i)).int32(2)
                            .launchOverlapping(device.stream(), new LaunchShape(1, 1, 1, 64, 0));
                }
                assertThat(Floats.download(chain, device)[3 * 64]).isEqualTo(3);
            }
        });
    }
}
