package dev.sidewinder.cuda.kernel;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import java.lang.management.ManagementFactory;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

class KernelTest {

    private static final LaunchShape ONE_BLOCK = LaunchShape.of(1, 128);
    private static final int LAUNCHES = 500;

    /// Work waits until the host synchronises: what is seen earlier is a mistake.
    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(EmulatorSettings.withSeed(0).lazily());

    @Test
    void aFamilyAndAKernelAreFoundByName() {
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        assertThat(kernel.function().name()).isEqualTo("embedding_f32");
        assertThat(kernel.function().parameterBytes()).contains(List.of(8, 8, 8, 4, 4));
        assertThat(emulator.kernels().get("embedding", "embedding_f32")).isSameAs(kernel);
        assertThat(kernel.blocksPerMultiprocessor(128, 0)).isPositive();
    }

    @Test
    void namesAFamilyOrAKernelThatIsNotThere() {
        assertThatThrownBy(() -> emulator.kernels().get("no_such_family", "kernel"))
                .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("no_such_family");
        assertThatThrownBy(() -> emulator.kernels().get("embedding", "embedding_int4"))
                .isInstanceOf(CudaException.class)
                .hasMessageContaining("cuModuleGetFunction of embedding_int4 in embedding failed with CUDA_ERROR_NOT_FOUND (500)");
    }

    @Test
    void refusesArgumentsOfTheWrongSize() {
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        assertThatThrownBy(() -> kernel.arguments().pointer(0).int32(5))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("kernel embedding_f32: argument 1 is int32, 4 bytes; the kernel's parameter has 8");
        assertThatThrownBy(() -> kernel.arguments().float32(1)).hasMessageContaining("argument 0 is float32, 4 bytes");
        assertThatThrownBy(() -> kernel.arguments().pointer(0).pointer(0).pointer(0).int64(5))
                .hasMessage("kernel embedding_f32: argument 3 is int64, 8 bytes; the kernel's parameter has 4");
    }

    @Test
    void refusesTooFewAndTooManyArguments() {
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        Stream stream = emulator.device().stream();
        assertThatThrownBy(() -> kernel.arguments().pointer(0).pointer(0).launch(stream, ONE_BLOCK))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("kernel embedding_f32 takes 5 arguments; 2 were given");
        assertThatThrownBy(() -> kernel.arguments().pointer(0).pointer(0).pointer(0).int32(1).int32(1).int32(1))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessage("kernel embedding_f32 takes 5 arguments; one more was given, int32");
    }

    @Test
    void refusesSharedMemoryThatTheDeviceDoesNotHave() {
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        Arguments arguments = kernel.arguments().pointer(0).pointer(0).pointer(0).int32(1).int32(1);
        int most = emulator.device().info().sharedBytesPerBlock();
        assertThatThrownBy(() -> arguments.launch(emulator.device().stream(), ONE_BLOCK.withShared(most + 1)))
                .isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("kernel embedding_f32: " + (most + 1) + " bytes of dynamic shared memory");
    }

    @Test
    void asksForSharedMemoryAbove48KiBByItself() {
        // given a launch with all the shared memory that a block can have
        Stream stream = emulator.device().stream();
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        try (DeviceBuffer memory = emulator.device().allocate(256)) {
            stream.fillWords(memory.address(), 0, 64);
            LaunchShape shape = ONE_BLOCK.withShared(emulator.device().info().sharedBytesPerBlock());

            // when it runs, then the driver takes it
            embed(kernel, memory.at(0), memory.at(64), memory.at(128), 4, 1).launch(stream, shape);
            stream.synchronize();
        }
    }

    @Test
    void refusesShapesThatNoDeviceHas() {
        for (int[] shape : new int[][] {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}, {-1, 1, 1}, {1, 65_536, 1}, {1, 1, 65_536}}) {
            assertThatThrownBy(() -> new LaunchShape(shape[0], shape[1], shape[2], 32, 0))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("a grid of");
        }
        for (int threads : new int[] {0, -32, 1025}) {
            assertThatThrownBy(() -> LaunchShape.of(1, threads))
                    .isInstanceOf(IllegalArgumentException.class).hasMessageContaining("a block of " + threads + " threads");
        }
        assertThatThrownBy(() -> LaunchShape.of(1, 32).withShared(-1)).isInstanceOf(IllegalArgumentException.class);
        assertThat(new LaunchShape(Integer.MAX_VALUE, 65_535, 65_535, 1024, 0).blockX()).isEqualTo(1024);
    }

    @Test
    void reusesItsArgumentMemoryForLaunchesThatHaveNotRunYet() {
        // given two launches of one kernel in a stream, with different arguments
        Stream stream = emulator.device().stream();
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        try (DeviceBuffer memory = emulator.device().allocate(1024); PinnedMemory host = emulator.device().pinned(1024)) {
            stream.fillWords(memory.at(0), 0, 1);
            stream.fillWords(memory.at(256), Float.floatToIntBits(7), 4);
            stream.fillWords(memory.at(272), Float.floatToIntBits(9), 4);
            embed(kernel, memory.at(512), memory.at(0), memory.at(256), 4, 1).launch(stream, ONE_BLOCK);
            embed(kernel, memory.at(528), memory.at(0), memory.at(272), 4, 1).launchOverlapping(stream, ONE_BLOCK);

            // when both have run, then each had its own
            stream.copyToHost(host.segment(), memory.at(512), 32);
            stream.synchronize();
            assertThat(host.segment().getAtIndex(JAVA_FLOAT, 0)).isEqualTo(7);
            assertThat(host.segment().getAtIndex(JAVA_FLOAT, 7)).isEqualTo(9);
        }
    }

    @Test
    void aLaunchMakesNoObjects() {
        // given a kernel that was launched often enough for the JVM to have compiled everything
        Stream stream = emulator.device().stream();
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        var memoryBean = (com.sun.management.ThreadMXBean) ManagementFactory.getThreadMXBean();
        try (DeviceBuffer memory = emulator.device().allocate(256)) {
            stream.fillWords(memory.address(), 0, 64);
            LaunchShape shape = LaunchShape.of(1, 32);
            long fewest = Long.MAX_VALUE;
            for (int round = 0; round < 60 && fewest > 0; round++) {
                // when it is launched some hundred times more
                long before = memoryBean.getCurrentThreadAllocatedBytes();
                for (int i = 0; i < LAUNCHES; i++) {
                    embed(kernel, memory.at(0), memory.at(64), memory.at(128), 4, 1).launch(stream, shape);
                }
                fewest = Math.min(fewest, (memoryBean.getCurrentThreadAllocatedBytes() - before) / LAUNCHES);
                stream.synchronize();
            }

            // then nothing was allocated for a launch
            assertThat(fewest).as("bytes allocated for a launch").isZero();
        }
    }

    @Test
    void aGraphRepeatsALaunchOnWhatMemoryHoldsThen() {
        Stream stream = emulator.device().stream();
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        try (DeviceBuffer memory = emulator.device().allocate(1024); PinnedMemory host = emulator.device().pinned(64)) {
            // given a table of three rows, and a graph that takes the token from pinned memory and brings the row back
            for (int row = 0; row < 3; row++) {
                stream.fillWords(memory.at(256 + 16L * row), Float.floatToIntBits(row + 0.5f), 4);
            }
            try (CudaGraph graph = stream.capture(() -> {
                stream.copyToDevice(memory.address(), host.segment(), 4);
                embed(kernel, memory.at(512), memory.at(0), memory.at(256), 4, 3).launch(stream, ONE_BLOCK);
                stream.copyToHost(host.segment().asSlice(16), memory.at(512), 16);
            })) {
                graph.upload(stream);
                for (int token : new int[] {2, 0, 1, -1, 2}) {
                    // when it runs with another token
                    host.segment().set(JAVA_INT, 0, token);
                    graph.launch(stream);
                    stream.synchronize();

                    // then it has read that one
                    assertThat(host.segment().getAtIndex(JAVA_FLOAT, 4)).isEqualTo(token < 0 ? 0 : token + 0.5f);
                }
            }
        }
    }

    @Test
    void anUpdatedGraphHasTheNewArguments() {
        Stream stream = emulator.device().stream();
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        try (DeviceBuffer memory = emulator.device().allocate(1024); PinnedMemory host = emulator.device().pinned(64)) {
            stream.fillWords(memory.at(0), 0, 1);
            stream.fillWords(memory.at(256), Float.floatToIntBits(7), 4);
            stream.fillWords(memory.at(272), Float.floatToIntBits(9), 4);
            try (CudaGraph graph = stream.capture(
                    () -> embed(kernel, memory.at(512), memory.at(0), memory.at(256), 4, 1).launch(stream, ONE_BLOCK))) {
                // when the same work is recorded on another table, then the graph reads that one
                graph.update(stream,
                        () -> embed(kernel, memory.at(512), memory.at(0), memory.at(272), 4, 1).launch(stream, ONE_BLOCK));
                graph.launch(stream);
                stream.copyToHost(host.segment(), memory.at(512), 16);
                stream.synchronize();
                assertThat(host.segment().getAtIndex(JAVA_FLOAT, 3)).isEqualTo(9);

                // when other work is recorded, then the graph does that
                graph.update(stream, () -> {
                    stream.fillWords(memory.at(256), Float.floatToIntBits(3), 4);
                    embed(kernel, memory.at(512), memory.at(0), memory.at(256), 4, 1).launch(stream, ONE_BLOCK);
                });
                graph.launch(stream);
                stream.copyToHost(host.segment(), memory.at(512), 16);
                stream.synchronize();
                assertThat(host.segment().getAtIndex(JAVA_FLOAT, 3)).isEqualTo(3);
            }
        }
    }

    @Test
    void aKernelThatLeavesItsMemoryFailsAtTheNextSynchronisationAndIsNamed() {
        // given a table that is smaller than it is said to be
        Stream stream = emulator.device().stream();
        Kernel kernel = emulator.kernels().get("embedding", "embedding_f32");
        DeviceBuffer memory = emulator.device().allocate(4096);
        stream.fillWords(memory.address(), 1_000_000, 1);
        embed(kernel, memory.at(512), memory.at(0), memory.at(256), 4, 2_000_000).launch(stream, ONE_BLOCK);

        // when the host waits, then the failure comes up with what was called and what the driver says
        assertThatThrownBy(stream::synchronize).isInstanceOfSatisfying(CudaException.class, failure -> {
            assertThat(failure.call()).isEqualTo("cuStreamSynchronize");
            assertThat(failure.code()).isEqualTo(700);
            assertThat(failure.driverText()).contains("CUDA_ERROR_ILLEGAL_ADDRESS (700): an illegal memory access");
            assertThat(failure.driverText()).contains("embedding_f32").contains("block").contains("thread");
            assertThat(failure.isOutOfMemory()).isFalse();
        });

        // and every later call fails with it, while giving back says nothing new
        assertThatThrownBy(() -> stream.fill(memory.address(), (byte) 0, 1)).isInstanceOf(CudaException.class)
                .hasMessageContaining("(700)");
        memory.close();
        memory.close();
    }

    @Test
    void aKernelOfAClosedModuleIsRefused() {
        Kernels kernels = Kernels.load(emulator.device(), Emulator.images());
        Kernel kernel = kernels.get("embedding", "embedding_f32");
        Arguments arguments = kernel.arguments();
        kernels.close();
        assertThatThrownBy(() -> embed(kernel, 1, 1, 1, 1, 1).launch(emulator.device().stream(), ONE_BLOCK))
                .isInstanceOf(IllegalStateException.class);
        assertThatThrownBy(() -> arguments.launch(emulator.device().stream(), ONE_BLOCK))
                .isInstanceOf(RuntimeException.class);
    }

    private static Arguments embed(Kernel kernel, long out, long token, long table, int width, int vocabulary) {
        return kernel.arguments().pointer(out).pointer(token).pointer(table).int32(width).int32(vocabulary);
    }
}
