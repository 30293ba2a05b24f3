package dev.sidewinder.bench.gpu;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.cuda.emulator.Emulator;
import dev.sidewinder.engine.cuda.EmulatedDevices;
import dev.sidewinder.engine.cuda.KvFormat;
import java.io.ByteArrayOutputStream;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;

/// The whole course, with a model and sizes as small as they come, on the emulator.
class WholeStepsTest {

    private static final String MODEL = "synthetic:tiny-fp8,layers=MM*EE,hidden=32,vocab=64,mamba-heads=2,mamba-head-dim=16,"
            + "groups=1,state=64,query-heads=2,kv-heads=1,head-dim=64,dense=32,experts=4,active=2,intermediate=32,shared=32";
    private static final Ceilings CEILINGS = new Ceilings(3e12, 790e12, 1500e12);

    private final List<GpuRow> rows = new ArrayList<>();
    private final ByteArrayOutputStream progress = new ByteArrayOutputStream();

    @Test
    void measuresBatchesPromptsAndALongSequence() {
        List<String> notReached = run(Duration.ofMinutes(5));

        assertThat(notReached).isEmpty();
        assertThat(rows).extracting(GpuRow::name, GpuRow::shape).map(tuple -> tuple.toList().get(0) + " | " + tuple.toList().get(1))
                .containsExactly("start, weights | 0.00 GB", "start, graphs | up to 3 rows",
                        "decode fp8 | B=1 at 130", "generate fp8 | B=1 at 130",
                        "decode fp8 | B=3 at 130", "generate fp8 | B=3 at 130",
                        "mixed fp8 | 2 decodes + 100 prompt tokens at 130",
                        "prompt fp8 | 100 tokens", "prompt fp8 | 300 tokens",
                        "prompt fp8 | 400 tokens", "decode fp8 | B=1 at 400", "generate fp8 | B=1 at 400");
        assertThat(rows).allSatisfy(row -> assertThat(row.kind()).isEqualTo(GpuRow.Kind.STEP));

        // a step of three moves more than one of one, and all of them say what they reach
        assertThat(row("decode fp8", "B=3 at 130").bytes()).isGreaterThan(row("decode fp8", "B=1 at 130").bytes());
        assertThat(row("decode fp8", "B=1 at 400").bytes()).isGreaterThan(row("decode fp8", "B=1 at 130").bytes());
        assertThat(rows.subList(2, rows.size())).allSatisfy(row -> {
            assertThat(row.fraction()).isBetween(0.0, 1.0);
            assertThat(row.flops()).isPositive();
            assertThat(row.note()).contains("tok/s");
        });
        // one of both reads the matrices once
        double mixed = row("mixed fp8", "2 decodes + 100 prompt tokens at 130").bytes();
        assertThat(mixed).isGreaterThan(row("prompt fp8", "100 tokens").bytes())
                .isLessThan(row("prompt fp8", "100 tokens").bytes() + row("decode fp8", "B=3 at 130").bytes());
        assertThat(row("decode fp8", "B=3 at 130").note()).containsPattern("[1-9][0-9]+ kernels, boundaries about [1-9][0-9]* µs");
        assertThat(row("decode fp8", "B=1 at 400").note()).contains("GiB of device memory taken");
        assertThat(Emulator.liveAllocations()).isZero();
    }

    @Test
    void saysWhatItDidNotReach() {
        List<String> notReached = run(Duration.ZERO);

        assertThat(notReached).containsExactly("decode at batch 1", "decode at batch 3",
                "mixed step: 2 decodes + 100 prompt tokens", "a prompt of 100 tokens", "a prompt of 300 tokens", "tokens 0 to 400 of the long sequence");
        assertThat(rows).extracting(GpuRow::name).containsExactly("start, weights", "start, graphs");
        assertThat(Emulator.liveAllocations()).isZero();
    }

    @Test
    void refusesSizesThatDoNotFitTogether() {
        assertThatThrownBy(() -> new WholeSteps.Settings(MODEL, KvFormat.E4M3, List.of(1, 300), 10, List.of(), List.of(), 0, 256, 1,
                Duration.ZERO)).hasMessageContaining("batches [1, 300]");
        assertThatThrownBy(() -> new WholeSteps.Settings(MODEL, KvFormat.E4M3, List.of(1), 10, List.of(), List.of(), 0, 100, 1,
                Duration.ZERO)).hasMessageContaining("pieces of 100");
        assertThatThrownBy(() -> new WholeSteps.Settings(MODEL, KvFormat.E4M3, List.of(2), 10, List.of(new WholeSteps.Settings.Mixed(2, 127)),
                List.of(), 0, 128, 1, Duration.ZERO)).hasMessageContaining("2 decodes + 127 prompt tokens").hasMessageContaining("128 tokens");
        assertThat(WholeSteps.Settings.nano(Duration.ofMinutes(1)).longTokens()).isEqualTo(1_048_576);
    }

    private List<String> run(Duration partLimit) {
        var settings = new WholeSteps.Settings(MODEL, KvFormat.E4M3, List.of(1, 3), 130, List.of(new WholeSteps.Settings.Mixed(2, 100)),
                List.of(100, 300), 400, 256, 2, partLimit);
        return new WholeSteps(() -> EmulatedDevices.open(5), CEILINGS, rows::add, new PrintStream(progress)).run(settings);
    }

    private GpuRow row(String name, String shape) {
        return rows.stream().filter(row -> row.name().equals(name) && row.shape().equals(shape)).findFirst().orElseThrow();
    }
}
