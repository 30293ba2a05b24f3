package dev.sidewinder.cuda.emulator;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.DeviceFunction;
import dev.sidewinder.cuda.kernel.Arguments;
import dev.sidewinder.cuda.kernel.LaunchShape;
import java.lang.foreign.Arena;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.function.Consumer;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// Every planted fault is reported, with kernel, block and thread, or shows as NaN: under each of many seeds, because the
/// order of threads and the place of allocations follow from it.
class EmulatorFaultTest {

    private static final String FAMILY = "emulator_faults";
    private static final int SEEDS = 12;

    private static void underManySeeds(Consumer<Emulator> test) {
        for (long seed = 1; seed <= SEEDS; seed++) {
            try (Emulator emulator = Emulator.open(seed)) {
                test.accept(emulator);
            } catch (AssertionError | RuntimeException e) {
                throw new AssertionError("with seed " + seed + ": " + e.getMessage(), e);
            }
        }
    }

    private static Arguments kernel(Emulator emulator, String name) {
        return emulator.kernels().get(FAMILY, name).arguments();
    }

    private static LaunchShape shape(int blocks, int threads, int sharedBytes) {
        return new LaunchShape(blocks, 1, 1, threads, sharedBytes);
    }

    // ---- launches ------------------------------------------------------------------------------------------------------

    @Test
    void aBlockLargerThanTheKernelsBoundIsRefused() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer x = Floats.upload(device, 1); DeviceBuffer y = device.allocate(4)) {
                DeviceFunction function = emulator.kernels().get("emulator_samples", "scale_f32").function();
                assertThat(function.threadsPerBlock()).isEqualTo(128);
                function.argument(0, y.address());
                function.argument(1, x.address());
                function.argument(2, 1);
                function.argument(3, 1f);
                function.launch(device.stream(), 1, 1, 1, 128, 0, DeviceFunction.Start.IN_ORDER);
                // The launcher's own check is in front of this one, and would hide it.
                assertThatThrownBy(() -> function.launch(device.stream(), 1, 1, 1, 129, 0, DeviceFunction.Start.IN_ORDER))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel scale_f32: a block of 129 threads; its __launch_bounds__ are 128");
            }
        });
    }

    // ---- barriers ------------------------------------------------------------------------------------------------------

    @Test
    void aMissingBarrierGivesAWrongResultInEveryOrder() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            float[] values = Floats.counting(256);
            try (DeviceBuffer x = Floats.upload(device, values); DeviceBuffer y = device.allocate(4 * 256)) {
                float[] right = new float[256];
                for (int i = 0; i < 256; i++) {
                    right[i] = values[i / 128 * 128 + 127 - i % 128];
                }

                kernel(emulator, "reverse_f32").pointer(y.address()).pointer(x.address()).int32(1)
                        .launch(device.stream(), shape(2, 128, 0));
                assertThat(Floats.download(y, device)).containsExactly(right);

                kernel(emulator, "reverse_f32").pointer(y.address()).pointer(x.address()).int32(0)
                        .launch(device.stream(), shape(2, 128, 0));
                assertThat(Floats.download(y, device)).isNotEqualTo(right).contains(Float.NaN);
            }
        });
    }

    // ---- launches that overlap -----------------------------------------------------------------------------------------

    /// Three kernels in a row, of which the latter two may begin before their predecessor has ended.
    private static void chain(Emulator emulator, DeviceBuffer values, int kind) {
        for (int i = 0; i < 3; i++) {
            Arguments arguments = kernel(emulator, "follow_f32")
                    .pointer(values.at(256 * 4L * (i + 1))).pointer(values.at(256 * 4L * i)).int32(i == 0 ? 2 : kind);
            if (i == 0) {
                arguments.launch(emulator.device().stream(), shape(4, 64, 0));
            } else {
                arguments.launchOverlapping(emulator.device().stream(), shape(4, 64, 0));
            }
        }
    }

    @ParameterizedTest
    @ValueSource(booleans = {true, false})
    void whatIsReadBeforeThePredecessorsEndIsOld(boolean graph) {
        for (long seed = 1; seed <= SEEDS; seed++) {
            for (int kind : new int[] {1, 2}) {
                try (Emulator emulator = Emulator.open(EmulatorSettings.withSeed(seed).lazily());
                        DeviceBuffer values = emulator.device().allocate(4 * 4 * 256)) {
                    Device device = emulator.device();
                    device.stream().fill(values.address(), (byte) 0, 4 * 4 * 256);
                    if (graph) {
                        try (var captured = device.stream().capture(() -> chain(emulator, values, kind))) {
                            captured.launch(device.stream());
                            device.stream().synchronize();
                        }
                    } else {
                        chain(emulator, values, kind);
                    }
                    float[] last = Arrays.copyOfRange(Floats.download(values, device), 768, 1024);
                    if (kind == 2) {
                        assertThat(last).as("seed %d", seed).containsOnly(3f);
                    } else {
                        assertThat(last).as("seed %d", seed).contains(1f);
                    }
                }
            }
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 3})
    void anOverlappingLaunchWhoseThreadsDoNotWaitIsReported(int kind) {
        underManySeeds(emulator -> {
            try (DeviceBuffer values = Floats.upload(emulator.device(), new float[1024])) {
                assertThatThrownBy(() -> chain(emulator, values, kind))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel follow_f32, block (")
                        .hasMessageContaining("grid_dependency_wait");
            }
        });
    }

    @Test
    void aFailureOfThePredecessorEndsWhatHasBegun() {
        for (long seed = 1; seed <= SEEDS; seed++) {
            try (Emulator emulator = Emulator.open(EmulatorSettings.withSeed(seed).lazily());
                    DeviceBuffer values = emulator.device().allocate(4 * 4 * 256)) {
                Device device = emulator.device();
                kernel(emulator, "read_at").pointer(values.address()).pointer(values.address()).int64(1L << 40).int32(0).int32(0)
                        .launch(device.stream(), shape(1, 32, 0));
                kernel(emulator, "follow_f32").pointer(values.at(1024)).pointer(values.address()).int32(2)
                        .launchOverlapping(device.stream(), shape(4, 64, 0));
                assertThatThrownBy(() -> device.stream().synchronize()).isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel read_at");
            } catch (CudaException closing) {
                // the device stays broken until the next emulator
                assertThat(closing).hasMessageContaining("read_at");
            }
        }
    }

    @Test
    void aMissingBarrierBehindTheReadsShowsOverSeveralRounds() {
        List<Long> shown = new ArrayList<>();
        underManySeeds(emulator -> {
            Device device = emulator.device();
            float[] values = Floats.counting(64);
            try (DeviceBuffer x = Floats.upload(device, values); DeviceBuffer y = device.allocate(4 * 64)) {
                float[] right = new float[64];
                for (int i = 0; i < 64; i++) {
                    right[i] = values[(i + 33) % 64] * (8 * 9 / 2);
                }
                kernel(emulator, "rounds_f32").pointer(y.address()).pointer(x.address()).int32(8).int32(1)
                        .launch(device.stream(), shape(1, 64, 256));
                assertThat(Floats.download(y, device)).containsExactly(right);

                kernel(emulator, "rounds_f32").pointer(y.address()).pointer(x.address()).int32(8).int32(0)
                        .launch(device.stream(), shape(1, 64, 256));
                if (!Arrays.equals(Floats.download(y, device), right)) {
                    shown.add(emulator.settings().seed());
                }
            }
        });
        assertThat(shown).as("seeds that show the fault").hasSize(SEEDS);
    }

    @Test
    void aDivergentBarrierIsReported() {
        underManySeeds(emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(256)) {
                assertThatThrownBy(() -> kernel(emulator, "divergent_barrier").pointer(y.address()).int32(39).int32(0)
                        .launch(emulator.device().stream(), shape(1, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel divergent_barrier, block (0, 0, 0), thread (")
                        .hasMessageContaining("divergent barrier")
                        .hasMessageContaining("emulator_faults.cu:");
            }
        });
    }

    @Test
    void aBarrierThatOthersNeverReachIsReportedAsAHang() {
        underManySeeds(emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(256)) {
                assertThatThrownBy(() -> kernel(emulator, "divergent_barrier").pointer(y.address()).int32(39).int32(1)
                        .launch(emulator.device().stream(), shape(1, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel divergent_barrier, block (0, 0, 0), thread (0, 0, 0)")
                        .hasMessageContaining("39 wait at __syncthreads in emulator_faults.cu:")
                        .hasMessageContaining("25 wait at __shfl_xor_sync in emulator_faults.cu:")
                        .hasMessageContaining("of mask 0xffffffff, still without lanes 0x0000007f")
                        .hasMessageContaining("0 have ended");
            }
        });
    }

    @Test
    void threadsThatHaveEndedAreNotWaitedFor() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer y = device.allocate(4 * 40)) {
                kernel(emulator, "early_end").pointer(y.address()).int32(40).launch(device.stream(), shape(1, 64, 0));
                float[] result = Floats.download(y, device);
                for (int i = 0; i < 40; i++) {
                    assertThat(result[i]).isEqualTo((i + 1) % 40);
                }
            }
        });
    }

    // ---- memory --------------------------------------------------------------------------------------------------------

    @Test
    void writingOnePastTheEndIsReportedToTheByte() {
        for (int floats : new int[] {1, 63, 64, 65, 1000, 1024}) {
            underManySeeds(emulator -> {
                try (DeviceBuffer y = emulator.device().allocate(4L * floats)) {
                    assertThatThrownBy(() -> kernel(emulator, "write_at").pointer(y.address()).int64(floats).float32(-1).int32(2)
                            .int32(17).launch(emulator.device().stream(), shape(4, 64, 0)))
                            .isInstanceOf(CudaException.class)
                            .hasMessageContaining("kernel write_at, block (2, 0, 0), thread (17, 0, 0): write to 0x")
                            .hasMessageContaining("0 bytes past the end of the device allocation number")
                            .hasMessageContaining("of " + 4 * floats + " bytes");
                }
            });
        }
    }

    @Test
    void writingBeforeTheBeginIsReported() {
        underManySeeds(emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(1000)) {
                assertThatThrownBy(() -> kernel(emulator, "write_at").pointer(y.address()).int64(-1).float32(0).int32(0)
                        .int32(0).launch(emulator.device().stream(), shape(1, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel write_at, block (0, 0, 0), thread (0, 0, 0): write to 0x")
                        .hasMessageContaining("4 bytes before the device allocation");
            }
        });
    }

    @ParameterizedTest
    @ValueSource(longs = {1 << 12, 1 << 14, -(1 << 12)})
    void anAccessFarOutsideNamesKernelBlockAndThread(long index) {
        underManySeeds(emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(1000); DeviceBuffer z = emulator.device().allocate(4)) {
                assertThatThrownBy(() -> kernel(emulator, "write_at").pointer(y.address()).int64(index).float32(0).int32(2)
                        .int32(17).launch(emulator.device().stream(), shape(4, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel write_at, block (2, 0, 0), thread (17, 0, 0): write to 0x");
                assertThat(z.bytes()).isEqualTo(4);
            }
        });
    }

    @Test
    void readingOnePastTheEndFaultsOrGivesNaN() {
        for (int floats : new int[] {1, 63, 64, 65, 1000, 1024}) {
            underManySeeds(emulator -> {
                Device device = emulator.device();
                try (DeviceBuffer x = Floats.upload(device, new float[floats]); DeviceBuffer y = device.allocate(4)) {
                    try {
                        kernel(emulator, "read_at").pointer(y.address()).pointer(x.address()).int64(floats).int32(1).int32(33)
                                .launch(device.stream(), shape(2, 64, 0));
                        assertThat(Floats.download(y, device)).containsExactly(Float.NaN);
                    } catch (CudaException e) {
                        assertThat(e).hasMessageContaining("kernel read_at, block (1, 0, 0), thread (33, 0, 0): read of 0x")
                                .hasMessageContaining("0 bytes past the end of the device allocation");
                    }
                }
            });
        }
    }

    @Test
    void memoryThatWasNeverWrittenReadsAsNaN() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer x = device.allocate(400); DeviceBuffer y = device.allocate(4)) {
                kernel(emulator, "read_at").pointer(y.address()).pointer(x.address()).int64(99).int32(0).int32(0)
                        .launch(device.stream(), shape(1, 64, 0));
                assertThat(Floats.download(y, device)).containsExactly(Float.NaN);
            }
        });
    }

    @Test
    void sharedMemoryIsFreshForEachBlock() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer y = device.allocate(256)) {
                for (int launch = 0; launch < 3; launch++) {
                    kernel(emulator, "fresh_shared").pointer(y.address()).launch(device.stream(), shape(8, 32, 128));
                    assertThat(Floats.downloadInts(y, device)).containsOnly(-1);
                }
            }
        });
    }

    @Test
    void useAfterFreeIsReported() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            long dead;
            try (DeviceBuffer freed = device.allocate(1 << 16)) {
                dead = freed.address();
            }
            try (DeviceBuffer y = device.allocate(4);
                    DeviceBuffer table = Floats.uploadInts(device, (int) dead, (int) (dead >>> 32))) {
                assertThatThrownBy(() -> kernel(emulator, "follow").pointer(y.address()).pointer(table.address())
                        .launch(device.stream(), shape(1, 32, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel follow, block (0, 0, 0), thread (5, 0, 0): read of 0x")
                        .hasMessageContaining("inside the freed device allocation");
            }
        });
    }

    @Test
    void aFreedBufferIsRefusedAsParameter() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            DeviceBuffer freed = device.allocate(4);
            long dead = freed.address();
            freed.close();
            assertThatThrownBy(() -> kernel(emulator, "accumulate").pointer(dead).pointer(dead)
                    .launch(device.stream(), shape(1, 32, 0)))
                    .isInstanceOf(CudaException.class)
                    .hasMessageContaining("kernel accumulate")
                    .hasMessageContaining("parameter 0")
                    .hasMessageContaining("freed device allocation");
        });
    }

    @Test
    void aHostPointerIsRefusedAsParameter() {
        underManySeeds(emulator -> {
            try (Arena arena = Arena.ofConfined(); DeviceBuffer y = emulator.device().allocate(64)) {
                long host = arena.allocate(64).address();
                assertThatThrownBy(() -> kernel(emulator, "accumulate").pointer(y.address()).pointer(host)
                        .launch(emulator.device().stream(), shape(1, 32, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel accumulate")
                        .hasMessageContaining("parameter 1 is the pointer 0x" + Long.toHexString(host))
                        .hasMessageContaining("no device memory");
            }
        });
    }

    @Test
    void aMisalignedVectorIsReported() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer x = Floats.upload(device, Floats.counting(64)); DeviceBuffer y = device.allocate(16)) {
                kernel(emulator, "read_vector").pointer(y.address()).pointer(x.address()).int32(16)
                        .launch(device.stream(), shape(1, 32, 0));
                assertThat(Floats.download(y, device)).containsExactly(4, 5, 6, 7);
                assertThatThrownBy(() -> kernel(emulator, "read_vector").pointer(y.address()).pointer(x.address()).int32(4)
                        .launch(device.stream(), shape(1, 32, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel read_vector, block (0, 0, 0), thread (9, 0, 0): access to a misaligned");
            }
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {30, 31, 100, 256, -1, -200})
    void sharedMemoryHasEnds(int index) {
        underManySeeds(emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(128)) {
                assertThatThrownBy(() -> kernel(emulator, "shared_at").pointer(y.address()).int32(index)
                        .launch(emulator.device().stream(), shape(1, 32, 4 * 30)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel shared_at, block (0, 0, 0), thread (3, 0, 0): write to 0x")
                        .hasMessageContaining("dynamic shared memory of 120 bytes")
                        .hasMessageContaining(index > 0
                                ? 4 * index - 120 + " bytes past the end" : -4 * index + " bytes before the begin");
            }
        });
    }

    @Test
    void tooMuchSharedMemoryIsRefused() {
        underManySeeds(emulator -> {
            int most = emulator.device().info().sharedBytesPerBlock();
            try (DeviceBuffer y = emulator.device().allocate(128)) {
                kernel(emulator, "shared_at").pointer(y.address()).int32(0)
                        .launch(emulator.device().stream(), shape(1, 32, most));
                assertThatThrownBy(() -> kernel(emulator, "shared_at").pointer(y.address()).int32(0)
                        .launch(emulator.device().stream(), shape(1, 32, most + 4)))
                        .hasMessageContaining("shared");
            }
        });
    }

    // ---- arithmetic and stacks -----------------------------------------------------------------------------------------

    @Test
    void divisionByZeroNamesTheThread() {
        underManySeeds(emulator -> {
            int[] divisors = new int[32];
            Arrays.fill(divisors, 3);
            divisors[11] = 0;
            try (DeviceBuffer x = Floats.uploadInts(emulator.device(), divisors);
                    DeviceBuffer y = emulator.device().allocate(128)) {
                assertThatThrownBy(() -> kernel(emulator, "divide").pointer(y.address()).pointer(x.address())
                        .launch(emulator.device().stream(), shape(1, 32, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel divide, block (0, 0, 0), thread (11, 0, 0): integer division by zero");
            }
        });
    }

    @Test
    void aStackOverflowNamesTheThread() {
        underManySeeds(emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(4)) {
                kernel(emulator, "deep_stack").pointer(y.address()).int32(100)
                        .launch(emulator.device().stream(), shape(1, 32, 0));
                assertThatThrownBy(() -> kernel(emulator, "deep_stack").pointer(y.address()).int32(1_000_000)
                        .launch(emulator.device().stream(), shape(1, 32, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel deep_stack, block (0, 0, 0), thread (21, 0, 0): stack overflow");
            }
        });
    }

    @Test
    void anEndlessLoopNamesTheThread() {
        for (int workers = 1; workers <= 2; workers++) {
            EmulatorSettings settings = EmulatorSettings.withSeed(1).withWorkers(workers).withBlockSeconds(0.2);
            try (Emulator emulator = Emulator.open(settings); DeviceBuffer flag = Floats.uploadInts(emulator.device(), 0)) {
                assertThatThrownBy(() -> kernel(emulator, "endless").pointer(flag.address())
                        .launch(emulator.device().stream(), shape(4, 32, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("CUDA_ERROR_LAUNCH_TIMEOUT")
                        .hasMessageContaining("kernel endless, block (2, 0, 0), thread (13, 0, 0)")
                        .hasMessageContaining("endless loop?");
            }
        }
    }

    // ---- copies --------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(ints = {0, 2})
    void aCopyThatNobodyWaitsForReadsAsNaN(int fault) {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer x = Floats.upload(device, Floats.counting(128)); DeviceBuffer y = device.allocate(512)) {
                kernel(emulator, "copy_through_shared").pointer(y.address()).pointer(x.address()).int32(1).int32(1)
                        .launch(device.stream(), shape(1, 32, 512));
                assertThat(Floats.download(y, device)).containsExactly(Floats.counting(128));
                kernel(emulator, "copy_through_shared").pointer(y.address()).pointer(x.address()).int32(1).int32(0)
                        .launch(device.stream(), shape(1, 32, 512));
                assertThat(Floats.download(y, device)).containsOnly(0);
                kernel(emulator, "copy_through_shared").pointer(y.address()).pointer(x.address()).int32(fault).int32(1)
                        .launch(device.stream(), shape(1, 32, 512));
                assertThat(Floats.download(y, device)).containsOnly(Float.NaN);
            }
        });
    }

    /// Once through the ring what has not come is NaN; the second time round a copy goes to where one is still under way.
    @Test
    void waitingForOneGroupTooFewReadsAsNaNAndIsReportedWhereTheRingGoesOn() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            int stages = 5;
            float[] values = Floats.counting(128 * stages);
            try (DeviceBuffer x = Floats.upload(device, values); DeviceBuffer y = device.allocate(4 * 128 * stages)) {
                kernel(emulator, "copy_in_stages").pointer(y.address()).pointer(x.address()).int32(stages).int32(1)
                        .launch(device.stream(), shape(1, 32, 1024));
                assertThat(Floats.download(y, device)).containsExactly(values);
                kernel(emulator, "copy_in_stages").pointer(y.address()).pointer(x.address()).int32(1).int32(2)
                        .launch(device.stream(), shape(1, 32, 1024));
                assertThat(Arrays.copyOf(Floats.download(y, device), 128)).containsOnly(Float.NaN);
                assertThatThrownBy(() -> kernel(emulator, "copy_in_stages").pointer(y.address()).pointer(x.address()).int32(stages)
                        .int32(2).launch(device.stream(), shape(1, 32, 1024)))
                        .hasMessageContaining("a copy to where one of kernel copy_in_stages, block (0, 0, 0), thread (")
                        .hasMessageContaining("is still under way");
            }
        });
    }

    @Test
    void aBulkCopyArrivesForThoseWhoWait() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer x = Floats.upload(device, Floats.counting(64)); DeviceBuffer y = device.allocate(256)) {
                kernel(emulator, "bulk_through_shared").pointer(y.address()).pointer(x.address()).int32(0)
                        .launch(device.stream(), shape(3, 64, 256));
                assertThat(Floats.download(y, device)).containsExactly(Floats.counting(64));
                kernel(emulator, "bulk_through_shared").pointer(y.address()).pointer(x.address()).int32(1)
                        .launch(device.stream(), shape(3, 64, 256));
                assertThat(Floats.download(y, device)).containsOnly(Float.NaN);
            }
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {2, 3, 4, 5, 6})
    void aBulkCopyWithAWrongBarrierIsReported(int fault) {
        String words = switch (fault) {
            case 2 -> "phase 0: 1 of 1 arrivals and 0 bytes missing";
            case 3 -> "phase 1"; // never announced: the phase ends at once, and the bytes belong to the next
            case 4 -> "was not initialised";
            case 5 -> "the block ended while 1 bulk copies were under way";
            default -> "0 of 1 arrivals and 16 bytes missing";
        };
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer x = Floats.upload(device, Floats.counting(64)); DeviceBuffer y = device.allocate(256)) {
                if (fault == 3) {
                    try {
                        kernel(emulator, "bulk_through_shared").pointer(y.address()).pointer(x.address()).int32(fault)
                                .launch(device.stream(), shape(1, 64, 256));
                        assertThat(Floats.download(y, device)).contains(Float.NaN);
                    } catch (CudaException e) {
                        assertThat(e).hasMessageContaining("kernel bulk_through_shared, block (0, 0, 0), thread (");
                    }
                    return;
                }
                assertThatThrownBy(() -> kernel(emulator, "bulk_through_shared").pointer(y.address()).pointer(x.address())
                        .int32(fault).launch(device.stream(), shape(1, 64, 256)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel bulk_through_shared, block (0, 0, 0), thread (")
                        .hasMessageContaining(words);
            }
        });
    }

    @Test
    void aLostArrivalIsReportedAsAHang() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer y = device.allocate(256)) {
                kernel(emulator, "lost_arrival").pointer(y.address()).int32(-1).launch(device.stream(), shape(2, 64, 0));
                assertThat(Floats.download(y, device)).containsOnly(1);
                assertThatThrownBy(() -> kernel(emulator, "lost_arrival").pointer(y.address()).int32(40)
                        .launch(device.stream(), shape(2, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel lost_arrival, block (")
                        .hasMessageContaining("64 wait at mbarrier_wait in emulator_faults.cu:")
                        .hasMessageContaining("phase 0: 1 of 64 arrivals and 0 bytes missing");
            }
        });
    }

    @Test
    void aBarrierWhoseInitialisationIsNotMadeVisibleIsReported() {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer y = device.allocate(256)) {
                assertThatThrownBy(() -> kernel(emulator, "lost_arrival").pointer(y.address()).int32(-2)
                        .launch(device.stream(), shape(2, 64, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel lost_arrival, block (")
                        .hasMessageContaining("is used before its initialisation is made visible: ")
                        .hasMessageContaining("thread (0, 0, 0) has not called fence_barrier_init() behind mbarrier_init()");
            }
        });
    }

    // ---- lanes ---------------------------------------------------------------------------------------------------------

    @ParameterizedTest
    @ValueSource(ints = {32, 31, 20, 17})
    void partialMasksAndEndedLanes(int alive) {
        underManySeeds(emulator -> {
            Device device = emulator.device();
            try (DeviceBuffer y = device.allocate(4 * 96)) {
                kernel(emulator, "partial_masks").pointer(y.address()).int32(alive).launch(device.stream(), shape(1, 32, 0));
                int[] result = Floats.downloadInts(y, device);
                for (int lane = 0; lane < alive; lane++) {
                    int even = 0;
                    for (int other = lane < 16 ? 0 : 16; other < (lane < 16 ? 16 : alive); other += 2) {
                        even |= 1 << other;
                    }
                    assertThat(result[lane]).as("lane " + lane).isEqualTo(lane < 16 ? 120 : 16);
                    assertThat(result[32 + lane]).as("lane " + lane).isEqualTo(even);
                    assertThat(result[64 + lane]).as("lane " + lane).isEqualTo(alive);
                }
            }
        });
    }

    @ParameterizedTest
    @ValueSource(ints = {0, 1, 2})
    void wrongLanesAreReported(int kind) {
        String words = switch (kind) {
            case 0 -> "is not in its own mask 0x0000ffff";
            case 1 -> "divergent warp";
            default -> "needs all 32 lanes, but only 0xffffff7f take part";
        };
        underManySeeds(emulator -> {
            try (DeviceBuffer y = emulator.device().allocate(128)) {
                assertThatThrownBy(() -> kernel(emulator, "wrong_lanes").pointer(y.address()).int32(kind)
                        .launch(emulator.device().stream(), shape(1, 32, 0)))
                        .isInstanceOf(CudaException.class)
                        .hasMessageContaining("kernel wrong_lanes, block (0, 0, 0), thread (")
                        .hasMessageContaining(words);
            }
        });
    }

    // ---- kernels and arguments -----------------------------------------------------------------------------------------

    @Test
    void aKernelThatIsNotRegisteredIsNotFound() {
        try (Emulator emulator = Emulator.open(1)) {
            assertThatThrownBy(() -> emulator.kernels().get(FAMILY, "forgotten"))
                    .isInstanceOf(CudaException.class)
                    .hasMessageContaining("KERNEL(forgotten)");
        }
    }

    @Test
    void aWrongNumberOfArgumentsIsRefused() {
        try (Emulator emulator = Emulator.open(1); DeviceBuffer y = emulator.device().allocate(128)) {
            assertThatThrownBy(() -> kernel(emulator, "accumulate").pointer(y.address())
                    .launch(emulator.device().stream(), shape(1, 32, 0)))
                    .hasMessageContaining("accumulate");
            assertThatThrownBy(() -> kernel(emulator, "accumulate").pointer(y.address()).int32(1))
                    .hasMessageContaining("accumulate");
        }
    }

    @Test
    void aFaultStaysUntilTheNextEmulator() {
        try (Emulator emulator = Emulator.open(1); DeviceBuffer y = emulator.device().allocate(128)) {
            assertThatThrownBy(() -> kernel(emulator, "wrong_lanes").pointer(y.address()).int32(0)
                    .launch(emulator.device().stream(), shape(1, 32, 0))).isInstanceOf(CudaException.class);
            assertThatThrownBy(() -> emulator.device().synchronize())
                    .isInstanceOf(CudaException.class)
                    .hasMessageContaining("kernel wrong_lanes");
        }
        try (Emulator emulator = Emulator.open(1)) {
            emulator.device().synchronize();
            assertThat(emulator.device().openThings()).isZero();
        }
    }
}
