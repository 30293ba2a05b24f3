package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class GpuReportTest {

    private static final GpuRun RUN = new GpuRun("NVIDIA H100 80GB HBM3", "580.1, CUDA 13.0", "abc123", 7);
    private static final GpuRow ROW = new GpuRow(GpuRow.Kind.KERNEL, "linear bf16", "in-proj M=1", 20, 22, 55.4e6, 55.4e6, 18.5,
            "split in 2");

    private static final int HEADER_COLUMNS = GpuReport.HEADER.split(",").length;

    @TempDir
    Path folder;

    @Test
    void takesTheLongerOfMovingAndComputingAsTheFloor() {
        Ceilings ceilings = new Ceilings(3e12, 790e12, 1500e12);
        // 27.7 MB at 3 TB/s, next to nothing to compute
        assertThat(ceilings.floorMicros(27.7e6, 55e6, Arithmetic.FP8)).isEqualTo(9.233, within(0.001));
        // 79 TFLOP at 790 TFLOP/s, next to nothing to move
        assertThat(ceilings.floorMicros(1e6, 79e12, Arithmetic.BF16)).isEqualTo(100_000, within(0.001));
        assertThat(ceilings.floorMicros(1e6, 79e12, Arithmetic.FP8)).isEqualTo(52_666.667, within(0.001));
        // in two formats one after the other
        assertThat(ceilings.floorMicros(1e6, 79e12, 150e12)).isEqualTo(200_000, within(0.001));
    }

    @Test
    void tellsRatesAndTheShareOfTheFloor() {
        assertThat(ROW.gigabytesPerSecond()).isEqualTo(2770, within(0.001));
        assertThat(ROW.teraflopsPerSecond()).isEqualTo(2.77, within(0.001));
        assertThat(ROW.fraction()).isEqualTo(0.925, within(0.0001));
        assertThat(new GpuRow(GpuRow.Kind.STEP, "a", "b", 1, 1, 0, 0, 0, "").fraction()).isNaN();
    }

    @Test
    void refusesTimesThatCannotBe() {
        assertThatThrownBy(() -> new GpuRow(GpuRow.Kind.KERNEL, "a", "b", 0, 1, 1, 1, 1, "")).hasMessageContaining("median 0.0");
        assertThatThrownBy(() -> new GpuRow(GpuRow.Kind.KERNEL, "a", "b", Double.NaN, 1, 1, 1, 1, ""))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new GpuRow(GpuRow.Kind.KERNEL, "a", "b", 2, 1, 1, 1, 1, ""))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new GpuRow(GpuRow.Kind.KERNEL, "a", "b", 1, 1, -1, 1, 1, ""))
                .isInstanceOf(IllegalArgumentException.class);
        assertThatThrownBy(() -> new Ceilings(0, 1, 1)).isInstanceOf(IllegalArgumentException.class);
    }

    @Test
    void writesEachRowAtOnceAndTheHeaderOnce() throws IOException {
        Path file = folder.resolve("new").resolve("gpu.csv");
        try (GpuReport report = open(file)) {
            report.accept(ROW);
            // then it is in the file while the report is open: a run that is cut short has kept it
            assertThat(Files.readAllLines(file)).hasSize(2);
        }
        try (GpuReport report = open(file)) {
            report.accept(ROW);
        }
        List<String> lines = Files.readAllLines(file);
        assertThat(lines).hasSize(3);
        assertThat(lines.getFirst()).isEqualTo(GpuReport.HEADER);
        assertThat(lines.get(1)).endsWith(",abc123,\"580.1, CUDA 13.0\",NVIDIA H100 80GB HBM3,7,1980 MHz,kernel,linear bf16,"
                        + "in-proj M=1,20.000,22.000,55400000,55400000,18.500,0.9250,split in 2")
                .matches("\\d{4}-\\d\\d-\\d\\dT\\d\\d:\\d\\d:\\d\\dZ,.*");
        assertThat(lines.get(1).split(",", -1)).hasSize(HEADER_COLUMNS + 1);  // one comma is inside quotes
    }

    @Test
    void printsAnOperatorsSizesSideBySideAndLimitsAndStepsInFull() throws IOException {
        ByteArrayOutputStream printed = new ByteArrayOutputStream();
        try (GpuReport report = open(folder.resolve("gpu.csv"))) {
            report.accept(new GpuRow(GpuRow.Kind.CEILING, "copy", "4096 MiB", 2863, 2870, 8.59e9, 0, 0, "datasheet 3,350 GB/s"));
            report.accept(ROW);
            report.accept(new GpuRow(GpuRow.Kind.KERNEL, "linear bf16", "in-proj M=8192", 1000, 1001, 1e8, 4.5e11, 600, ""));
            report.accept(new GpuRow(GpuRow.Kind.CUBLAS, "linear bf16", "in-proj M=1", 25, 26, 55.4e6, 55.4e6, 18.5, ""));
            report.accept(new GpuRow(GpuRow.Kind.STEP, "decode", "B=1", 2000, 2100, 4.06e9, 6e9, 1350, "500 tok/s"));
            report.print(new PrintStream(printed, true, StandardCharsets.UTF_8));
        }
        assertThat(printed.toString(StandardCharsets.UTF_8).lines().map(line -> line.replaceAll(" +", " "))).containsExactly(
                "copy 4096 MiB 2,863 µs, p95 2,870 3,000 GB/s datasheet 3,350 GB/s",
                "linear bf16, in-proj M=1: 20.0 (93 %); M=8192: 1,000 (60 %)",
                "linear bf16 cuBLAS, in-proj M=1: 25.0 (74 %)",
                "decode B=1 2,000 µs, p95 2,100 2,030 GB/s 68 % of the floor 500 tok/s");
    }

    @Test
    void namesTheFolderOfADevice() {
        assertThat(RUN.folder()).isEqualTo("nvidia-h100-80gb-hbm3");
    }

    @Test
    void quotesWhatWouldBreakALine() {
        assertThat(GpuReport.quoted("a,\"b\"\nc")).isEqualTo("\"a,\"\"b\"\" c\"");
    }

    private static GpuReport open(Path file) throws IOException {
        return new GpuReport(RUN, file, () -> "1980 MHz", new PrintStream(new ByteArrayOutputStream()));
    }
}
