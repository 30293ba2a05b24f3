package dev.sidewinder.bench;

import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.server.api.OutputOptions;
import dev.sidewinder.server.api.StopOptions;
import dev.sidewinder.server.api.StreamOptions;
import dev.sidewinder.server.api.answer.AnswerPlan;
import dev.sidewinder.server.api.answer.AnswerStream;
import dev.sidewinder.server.api.answer.CallIds;
import dev.sidewinder.server.api.answer.WireBuffer;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.Warmup;

/// A token's way from the engine's event to the bytes of a server-sent event, without text.
@State(Scope.Thread)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.NANOSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 1)       // compiled within the first second
@Measurement(iterations = 5, time = 1)  // a million events in each
public class ChunkBenchmark {

    /// Tokens of a choice: more than any run writes.
    private static final int ENDLESS = Integer.MAX_VALUE;

    @Param({"TEXT", "GENERATE"})
    public AnswerPlan.Form form;

    private final WireBuffer wire = new WireBuffer();
    private AnswerStream stream;
    private int index;

    @Setup
    public void prepare() {
        var identity = new AnswerPlan.Identity("req-1", "cmpl-0123456789", 1_800_000_000L, "bench-1b", "fp_0123");
        var prompts = List.of(new AnswerPlan.PromptInfo(new int[] {1, 2, 3}, null, ENDLESS));
        var plan = new AnswerPlan(form, identity, prompts, 1, 0, new StopOptions(List.of(), false, List.of(), true),
                new StreamOptions(true, false, false, 1), new OutputOptions(-1, -1, false, true, false, true, false),
                Optional.empty(), Optional.empty(), Optional.empty());
        stream = new AnswerStream(plan, new CallIds(new Random(7)), (_, _) -> {}, wire);
    }

    @Benchmark
    public int writeToken() {
        stream.assembler().accept(0, new GenerationEvent.Token(0, index, index & 0x3ff, null, false));
        index++;
        int bytes = wire.length();
        wire.reset();
        return bytes;
    }
}
