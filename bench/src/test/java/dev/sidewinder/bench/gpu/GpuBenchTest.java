package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.bench.gpu.GpuBench.Part;
import dev.sidewinder.bench.gpu.GpuBench.Sizes;
import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.cuda.emulator.EmulatorSettings;
import dev.sidewinder.cuda.kernel.BlasChoices;
import dev.sidewinder.cuda.kernel.KernelCheck;
import dev.sidewinder.cuda.kernel.KernelCheck.Extent;
import dev.sidewinder.cuda.kernel.KernelChecks;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Duration;
import java.util.ArrayList;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// The whole course of the command on an emulated device, which tells nothing of speed.
class GpuBenchTest {

    private static final long SEED = 4711;
    private static final String[] FAMILIES = {"attention_plan", "causal_conv1d", "embedding", "finite_rows", "gated_norm", "kv_write", "linear",
        "moe_experts", "moe_route", "paged_attention_decode", "paged_attention_prompt", "rms_norm", "sample",
        "selective_state_update", "ssd_chunk_scan", "synthetic_weights"};

    /// A process loads one cuBLAS: one file for all tests.
    @TempDir
    static Path libraries;
    private static Path cublas;

    @TempDir
    Path folder;

    private final ByteArrayOutputStream progress = new ByteArrayOutputStream();
    private final ByteArrayOutputStream output = new ByteArrayOutputStream();
    private Path kernels;

    @BeforeAll
    static void unpackCublas() throws IOException {
        cublas = libraries.resolve("libcublas.so.13");
        try (InputStream library = Emulator.class.getResourceAsStream("native/libcublas.so.13")) {
            Files.copy(library, cublas);
        }
    }

    @BeforeEach
    void unpackKernels() throws IOException {
        Emulator.reset(EmulatorSettings.withSeed(SEED));
        kernels = Files.createDirectories(folder.resolve("kernels"));
        for (String family : FAMILIES) {
            Files.write(kernels.resolve(family + ".so"), Emulator.images().of(family));
            unpackForOneArchitecture("sm90_" + family);
        }
    }

    /// Few families have one.
    private void unpackForOneArchitecture(String family) throws IOException {
        if (Emulator.class.getResource("native/" + family + ".so") != null) {
            Files.write(kernels.resolve(family + ".so"), Emulator.images().of(family));
        }
    }

    private GpuBench bench(Set<Part> parts, List<String> only, List<KernelCheck> checks, Duration limit, String python) {
        var settings = new GpuBench.Settings(parts, only, limit, SEED, 3, Sizes.SMALL, 1, Optional.empty(), python, folder.resolve("results"), "abc");
        var target = new GpuBench.Target(Emulator.driver().library(), 0, Optional.of(kernels), Optional.of(cublas));
        return new GpuBench(target, settings, checks, new PrintStream(progress, true, StandardCharsets.UTF_8),
                new PrintStream(output, true, StandardCharsets.UTF_8));
    }

    private static List<KernelCheck> checksOf(String... families) {
        return KernelChecks.all(3).stream().filter(check -> List.of(families).contains(check.family())).toList();
    }

    private String progress() {
        return progress.toString(StandardCharsets.UTF_8);
    }

    private String output() {
        return output.toString(StandardCharsets.UTF_8);
    }

    private Path file(String name) {
        return folder.resolve("results").resolve("sidewinder-emulator").resolve(name);
    }

    @Test
    void checksAndMeasuresEveryKernelAndWritesWhatItFound() throws IOException {
        // when everything is run, with the checks of two families
        int code = bench(EnumSet.complementOf(EnumSet.of(Part.RECALL)), List.of(), checksOf("embedding", "gated_norm"), null, "no-such-python").run();

        // then the checks are told and counted, those at real sizes left out
        assertThat(code).isZero();
        assertThat(output()).containsPattern("embedding +8 +0 +0").containsPattern("gated_norm +9 +0 +0").contains("nothing failed");
        assertThat(Files.readAllLines(file("gpu-checks.csv"))).hasSize(1 + 8 + 9).first().isEqualTo(CheckRun.HEADER);
        assertThat(progress()).contains("seed 4711").contains("PyTorch is left out");

        // and every operator has its row: median, bytes and a floor
        List<String> rows = Files.readAllLines(file("gpu.csv"));
        List<Operator> operators = new ArrayList<>(LinearOperators.all(Sizes.SMALL.model()));
        operators.addAll(MambaOperators.all(Sizes.SMALL.model()));
        operators.addAll(ExpertOperators.all(Sizes.SMALL.model()));
        operators.addAll(AttentionOperators.all(Sizes.SMALL.model()));
        operators.addAll(RowOperators.all(Sizes.SMALL.model()));
        for (Operator operator : operators) {
            assertThat(rows).as(operator.name() + " " + operator.shape()).anyMatch(row ->
                    row.contains(",kernel," + GpuReport.quoted(operator.name()) + "," + operator.shape() + ","));
        }
        int cublasRows = LinearOperators.inBf16(Sizes.SMALL.model()).size();
        long steps = rows.stream().filter(row -> row.contains(",step,")).count();
        assertThat(rows).hasSize(1 + 4 + operators.size() + cublasRows + (int) steps);

        // and so have whole steps: batches of 1 and 3, a prompt, and a long sequence
        assertThat(rows).anyMatch(row -> row.contains(",step,") && row.contains("B=1")).anyMatch(row ->
                row.contains(",step,") && row.contains("B=3")).anyMatch(row -> row.contains("prompt") && row.contains("400 tokens"));

        // and cuBLAS is written beside our products, in the form of the choices
        assertThat(Files.readAllLines(file("blas-choices.csv"))).hasSize(1 + cublasRows).first().isEqualTo(BlasRecord.HEADER);
        assertThat(output()).contains("linear bf16 cuBLAS, in-proj");

        // which the backend reads: of each product that was measured the quicker one, on this device alone
        BlasChoices choices = BlasChoices.parse(Files.readString(file("blas-choices.csv")));
        for (LinearOperators.Product product : LinearOperators.inBf16(Sizes.SMALL.model())) {
            LinearOperators.Matrix matrix = product.matrix();
            boolean quicker = micros(rows, "cublas", product.shape()) < micros(rows, "kernel", product.shape());
            assertThat(choices.prefersBlas("Sidewinder emulator", product.tokens(), matrix.outputs(), matrix.inputs()))
                    .as(product.shape()).isEqualTo(quicker);
            assertThat(choices.prefersBlas("another", product.tokens(), matrix.outputs(), matrix.inputs())).isFalse();
        }
    }

    /// The median that the table has for a product in bf16.
    private static double micros(List<String> rows, String kind, String shape) {
        String cells = "," + kind + ",linear bf16," + shape + ",";
        String row = rows.stream().filter(each -> each.contains(cells)).findFirst().orElseThrow();
        return Double.parseDouble(row.substring(row.indexOf(cells) + cells.length()).split(",")[0]);
    }

    @Test
    void everyFamilyIsMeasured() {
        Set<String> measured = new HashSet<>();
        for (List<Operator> operators : List.of(LinearOperators.all(Sizes.REAL.model()), MambaOperators.all(Sizes.REAL.model()),
                ExpertOperators.all(Sizes.REAL.model()), AttentionOperators.all(Sizes.REAL.model()),
                RowOperators.all(Sizes.REAL.model()))) {
            operators.forEach(operator -> measured.add(operator.family()));
        }
        // a plan takes next to no time, and whole steps contain it; synthetic weights are made once
        assertThat(measured).containsAll(List.of(FAMILIES).stream()
                .filter(family -> !family.equals("attention_plan") && !family.equals("synthetic_weights")).toList());
    }

    @Test
    void aKernelThatIsWrongIsToldAndTheOthersStillRun() throws IOException {
        // given a build whose embedding has a mistake in the last column
        Files.write(kernels.resolve("embedding.so"), Emulator.images().of("wrong_embedding"));

        // when it is checked
        int code = bench(EnumSet.of(Part.CHECKS), List.of(), checksOf("embedding", "rms_norm"), null, "none").run();

        // then the run fails, and says where
        assertThat(code).isEqualTo(1);
        assertThat(progress()).contains("FAILED embedding: 9 rows of 13 BF16").containsPattern("column 12 is \\S+, expected");
        assertThat(output()).containsPattern("embedding +[1-9]\\d* +[1-9]\\d* +0").containsPattern("rms_norm +20 +0 +0")
                .contains("comparisons and 0 measurements FAILED");
        assertThat(Files.readAllLines(file("gpu-checks.csv"))).anyMatch(line -> line.contains(",FAILED,") && line.contains("column 12"));
    }

    @Test
    void whatACheckLeavesBehindHarmsNoOther() throws IOException {
        // given one that fails with memory and a broken device behind it
        KernelCheck broken = new KernelCheck("first", "leaves its memory", Extent.SMALL, (kernels, _) -> {
            kernels.device().allocate(100);
            throw new IllegalStateException("boom");
        });
        List<KernelCheck> checks = new ArrayList<>(List.of(broken));
        checks.addAll(checksOf("embedding"));

        assertThat(bench(EnumSet.of(Part.CHECKS), List.of(), checks, null, "none").run()).isEqualTo(1);
        assertThat(progress()).contains("IllegalStateException: boom");
        assertThat(output()).containsPattern("first +0 +1 +0").containsPattern("embedding +8 +0 +0");
        assertThat(Emulator.liveAllocations()).isZero();
    }

    @Test
    void saysWhatItDidNotReach() throws IOException {
        assertThat(bench(EnumSet.complementOf(EnumSet.of(Part.RECALL)), List.of(), checksOf("embedding"), Duration.ZERO, "none").run()).isZero();
        assertThat(output()).contains("not reached within 0 s: 8 comparisons, 1 measurements from \"all measurements\" on");
    }

    @Test
    void takesOnlyTheFamiliesThatAreAskedFor() throws IOException {
        int code = bench(EnumSet.of(Part.KERNELS), List.of("kv", "norm"), List.of(), null, "none").run();

        assertThat(code).isZero();
        List<String> rows = Files.readAllLines(file("gpu.csv"));
        assertThat(rows.stream().filter(row -> row.contains(",kernel,"))).isNotEmpty()
                .allMatch(row -> row.contains("key and value write") || row.contains("norm"));
    }

    @Test
    void asksPyTorchForTheSameShapes() throws IOException {
        // given a Python that answers as the script does, and cannot do attention
        Path python = folder.resolve("python");
        Files.writeString(python, """
                #!/bin/sh
                [ "$1" = -c ] && exit 0
                echo torch 9.9
                while read -r line; do
                    case $line in
                        linear*) echo ok 12.5 13.5 ;;
                        *) echo left out, no such operator ;;
                    esac
                done
                """);
        Files.setPosixFilePermissions(python, PosixFilePermissions.fromString("rwx------"));

        int code = bench(EnumSet.of(Part.PYTORCH), List.of(), List.of(), null, python.toString()).run();

        assertThat(code).isZero();
        assertThat(progress()).contains("PyTorch: torch 9.9").contains("left out, no such operator");
        List<String> rows = Files.readAllLines(file("gpu.csv"));
        assertThat(rows.stream().filter(row -> row.contains(",pytorch,"))).isNotEmpty().allMatch(row -> row.contains(",12.500,13.500,"))
                .anyMatch(row -> row.contains("linear bf16,in-proj M=1,"));
    }
}
