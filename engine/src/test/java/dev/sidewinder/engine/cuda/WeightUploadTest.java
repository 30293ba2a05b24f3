package dev.sidewinder.engine.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.util.ArrayList;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// On a device that runs late: a half that is filled again too early would arrive wrong.
class WeightUploadTest {

    private static final int HALF = 1024;

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension(EmulatorSettings.withSeed(0).lazily());

    @Test
    void bringsSourcesOfEverySizeToWhereTheyBelong() {
        var random = new Random(2);
        int[] sizes = {1, 4, 255, 256, 257, HALF - 1, HALF, HALF + 1, 5 * HALF + 3, 12};
        List<byte[]> sources = new ArrayList<>();
        var counting = new WeightSink.Counting();
        for (int size : sizes) {
            byte[] bytes = new byte[size];
            random.nextBytes(bytes);
            sources.add(bytes);
            counting.put(stored(bytes));
        }
        List<Long> progress = new ArrayList<>();
        List<Long> addresses = new ArrayList<>();
        try (DeviceBuffer buffer = emulator.device().allocate(counting.bytes());
                Arena arena = Arena.ofConfined();
                var upload = new WeightUpload(emulator.kernels(), buffer, HALF, (done, total) -> {
                    assertThat(total).isEqualTo(counting.bytes());
                    progress.add(done);
                })) {
            for (byte[] bytes : sources) {
                addresses.add(upload.put(stored(bytes)));
            }
            upload.finish();
            for (int i = 0; i < sizes.length; i++) {
                assertThat(addresses.get(i) % 256).isZero();
                MemorySegment back = arena.allocate(sizes[i]);
                emulator.device().stream().copyToHost(back, addresses.get(i), sizes[i]);
                emulator.device().stream().synchronize();
                assertThat(back.toArray(ValueLayout.JAVA_BYTE)).as("source of %d bytes", sizes[i]).isEqualTo(sources.get(i));
            }
        }
        assertThat(progress).isSorted().endsWith(counting.bytes());
    }

    @Test
    void refusesMoreThanWasCounted() {
        try (DeviceBuffer buffer = emulator.device().allocate(256);
                var upload = new WeightUpload(emulator.kernels(), buffer, HALF, (_, _) -> {})) {
            upload.put(stored(new byte[10]));
            assertThatThrownBy(() -> upload.put(stored(new byte[1]))).isInstanceOf(IllegalArgumentException.class);
            upload.finish();
        }
    }

    private static WeightSource stored(byte[] bytes) {
        return new WeightSource.Stored(MemorySegment.ofArray(bytes));
    }
}
