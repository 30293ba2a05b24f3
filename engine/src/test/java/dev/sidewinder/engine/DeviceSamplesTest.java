package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.kernel.SampleResults;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import org.junit.jupiter.api.Test;

class DeviceSamplesTest {

    @Test
    void readsWhatARowCameTo() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment results = arena.allocate(3 * SampleResults.ROW_BYTES, 8);
            results.set(ValueLayout.JAVA_INT, SampleResults.ROW_BYTES, 1);
            results.set(ValueLayout.JAVA_INT, 2 * SampleResults.ROW_BYTES, 2);
            // a token without log-probabilities
            results.set(ValueLayout.JAVA_INT, 4, 77);
            results.set(ValueLayout.JAVA_INT, 24, -1);
            var reader = new SampleResults(results);
            assertThat(DeviceSamples.read(reader, 0)).isEqualTo(new Sample.Chosen(77, null));
            assertThat(DeviceSamples.read(reader, 1)).isSameAs(Sample.NOTHING_ALLOWED);
            assertThat(DeviceSamples.read(reader, 2)).isSameAs(Sample.NOT_FINITE);
        }
    }

    @Test
    void givesNothingForAPaddedRow() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment results = arena.allocate(SampleResults.ROW_BYTES, 8);
            results.set(ValueLayout.JAVA_INT, 0, 4);
            assertThat(DeviceSamples.read(new SampleResults(results), 0)).isNull();
        }
    }

    @Test
    void refusesRowsThatHaveNoSample() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment results = arena.allocate(2 * SampleResults.ROW_BYTES, 8);
            results.set(ValueLayout.JAVA_INT, 0, 3);
            results.set(ValueLayout.JAVA_INT, SampleResults.ROW_BYTES, -1);
            var reader = new SampleResults(results);
            assertThatThrownBy(() -> DeviceSamples.read(reader, 0)).hasMessageContaining("row 0").hasMessageContaining("weight");
            assertThatThrownBy(() -> DeviceSamples.read(reader, 1)).hasMessageContaining("row 1").hasMessageContaining("nothing was written");
        }
    }
}
