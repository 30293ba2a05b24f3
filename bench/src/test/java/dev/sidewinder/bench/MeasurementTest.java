package dev.sidewinder.bench;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.bench.QuietMachine.Disturbance;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class MeasurementTest {

    private static final Disturbance QUIET = new Disturbance(0.01, true);
    private static final Disturbance NOISY = new Disturbance(0.8, false);

    @TempDir
    Path folder;

    @Test
    void theMedianIsOverQuietRepeatsOnly() {
        Measurement measurement = measurement();

        assertThat(measurement.median()).isEqualTo(20);
        assertThat(measurement.min()).isEqualTo(10);
        assertThat(measurement.max()).isEqualTo(30);
        assertThat(measurement.quietRepeats()).isEqualTo(3);
        assertThat(measurement.repeats()).isEqualTo(4);
        assertThat(measurement.usable()).isTrue();
    }

    @Test
    void withoutAQuietRepeatTheFiguresAreMarked() throws Exception {
        var measurement = new Measurement("decode", "tok/s");
        measurement.add(5, NOISY);
        measurement.add(7, NOISY);

        assertThat(measurement.usable()).isFalse();
        assertThat(measurement.median()).isEqualTo(6);
        assertThat(print(measurement)).contains("NOT QUIET").contains("0/2");
    }

    @Test
    void aReportGrowsTheFileOfItsMachine() throws Exception {
        var machine = new Machine("Some(R) CPU(TM) X-1 @ 2.0GHz", 8, "25.0.3", "abc123+");
        var report = new Report("model", "bench-1b, bf16");
        report.add(measurement(), "50% of 20.0 GB/s");

        Path file = report.save(folder, machine);
        report.save(folder, machine);

        assertThat(folder.relativize(file)).isEqualTo(Path.of("bench/results/some-cpu-x-1-2-0ghz-8-cpus/model.csv"));
        assertThat(Files.readAllLines(file)).hasSize(3).first().asString().startsWith("time,commit,jdk,");
        assertThat(Files.readAllLines(file).getLast()).endsWith(
                ",abc123+,25.0.3,8,\"bench-1b, bf16\",decode,tok/s,20.000,10.000,30.000,3,4,50% of 20.0 GB/s");
    }

    @Test
    void busyTimeLeavesOutIdleAndWaiting() {
        // user nice system idle iowait irq softirq steal guest guest_nice
        String counters = "cpu  100 10 20 99999 88888 1 2 3 77777 66666\ncpu0 1 2 3\n";

        assertThat(QuietMachine.busySeconds(counters)).isEqualTo(1.36);
    }

    private static Measurement measurement() {
        var measurement = new Measurement("decode", "tok/s");
        measurement.add(30, QUIET);
        measurement.add(1, NOISY);
        measurement.add(10, QUIET);
        measurement.add(20, QUIET);
        return measurement;
    }

    private static String print(Measurement measurement) {
        var bytes = new ByteArrayOutputStream();
        var report = new Report("model", "x");
        report.add(measurement, "");
        report.print(new PrintStream(bytes, true, StandardCharsets.UTF_8));
        return bytes.toString(StandardCharsets.UTF_8);
    }
}
