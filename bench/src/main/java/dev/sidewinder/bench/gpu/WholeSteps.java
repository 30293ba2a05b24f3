package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.BackendSteps.Sequence;
import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.cuda.CudaBackend;
import dev.sidewinder.engine.cuda.CudaDevice;
import dev.sidewinder.engine.cuda.CudaOptions;
import dev.sidewinder.engine.cuda.KvFormat;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.LogitRows;
import java.io.PrintStream;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.OptionalInt;
import java.util.function.Consumer;
import java.util.function.Supplier;

/// Measures whole steps of a model on a device: how long it takes to start, generated tokens by batch size and beside a prompt, prompts by
/// length, one very long sequence, and the memory all that takes. Every part has a time limit of its own and says what it
/// did not reach.
///
/// Steps are timed on the host, from the call to the device's answer; `decode` has no sampling, `generate` is what an
/// engine does, with the next step launched as early as the backend allows.
public final class WholeSteps {

    /// What to measure.
    ///
    /// @param model       location of the model
    /// @param batches     batch sizes of generated tokens
    /// @param context     tokens that each of those sequences holds before
    /// @param mixed       steps of both kinds, behind the batches
    /// @param prompts     lengths of prompts
    /// @param longTokens  tokens of the one long sequence; 0 for none
    /// @param pieceTokens tokens of a pass over prompts at most, a multiple of 128
    /// @param repeats     timed steps of each batch size
    /// @param partLimit   of each part: starting, batches, prompts, the long sequence
    public record Settings(String model, KvFormat kvFormat, List<Integer> batches, int context, List<Mixed> mixed,
            List<Integer> prompts, int longTokens, int pieceTokens, int repeats, Duration partLimit) {

        public Settings {
            batches = List.copyOf(batches);
            mixed = List.copyOf(mixed);
            prompts = List.copyOf(prompts);
            if (batches.isEmpty() || Collections.min(batches) < 1 || context < 1 || longTokens < 0 || repeats < 1
                    || pieceTokens < 1 || pieceTokens % CacheShape.BLOCK_TOKENS != 0
                    || pieceTokens < Collections.max(batches)) {
                throw new IllegalArgumentException("whole steps at batches " + batches + " and a context of " + context
                        + ", prompts " + prompts + " and " + longTokens + " in pieces of " + pieceTokens + ", " + repeats
                        + " repeats; pieces are multiples of " + CacheShape.BLOCK_TOKENS + " and hold the largest batch");
            }
            for (Mixed step : mixed) {
                if (step.sequences() < 1 || step.promptTokens() < 1 || step.sequences() > Collections.max(batches)
                        || step.sequences() + step.promptTokens() > pieceTokens) {
                    throw new IllegalArgumentException("a " + step + " in batches of up to " + Collections.max(batches)
                            + " and passes of up to " + pieceTokens + " tokens");
                }
            }
        }

        /// A step of both kinds.
        ///
        /// @param sequences    that generate a token each
        /// @param promptTokens of the first piece of a prompt
        public record Mixed(int sequences, int promptTokens) {

            @Override
            public String toString() {
                return "mixed step: " + shape();
            }

            private String shape() {
                return number(sequences) + " decodes + " + number(promptTokens) + " prompt tokens";
            }
        }

        /// Nemotron 3 Nano in FP8, its weights made on the device, with FP8 keys and values.
        public static Settings nano(Duration partLimit) {
            return new Settings("synthetic:nano-30b-fp8", KvFormat.E4M3, List.of(1, 8, 32, 64, 128, 256), 1536,
                    List.of(new Mixed(64, 2048)), List.of(2048, 8192, 32_768), 1 << 20, 8192, 50, partLimit);
        }

        private int largestBatch() {
            return Collections.max(batches);
        }

        /// Steps of both kinds that a batch size runs.
        private int stepsOfABatch() {
            return 2 * (warmUp() + repeats);
        }

        private int warmUp() {
            return Math.min(WARM_UP, repeats);
        }

        /// Tokens of a sequence of the batches at most.
        private int batchTokens() {
            return context + (batches.size() + mixed.size()) * stepsOfABatch() + 1;
        }

        private int longestTokens() {
            int longest = Math.max(batchTokens(), longTokens == 0 ? 0 : longTokens + stepsOfABatch() + 1);
            return prompts.isEmpty() ? longest : Math.max(longest, Collections.max(prompts) + 1);
        }

        /// Prompts beside batches, one at a time.
        private int mixedTokens() {
            return mixed.stream().mapToInt(Mixed::promptTokens).max().orElse(0);
        }

        private int sequences() {
            return largestBatch() + (mixed.isEmpty() ? 0 : 1);
        }

        private BackendMemory memory(Model model) {
            int blocks = Math.max(largestBatch() * CacheShape.blocksFor(batchTokens()) + CacheShape.blocksFor(mixedTokens()),
                    CacheShape.blocksFor(longestTokens()));
            return CudaBackend.memory(model.config(), kvFormat, sequences(), blocks);
        }

        private CudaOptions options() {
            return new CudaOptions(pieceTokens, sequences(), longestTokens(), kvFormat, false, true);
        }
    }

    private static final int WARM_UP = 5;
    private static final int PROMPT_REPEATS = 5;
    /// What a boundary between two kernels of a graph costs on Hopper, about: idle memory, apart from ramp-up and tail.
    private static final double BOUNDARY_MICROS = 1.3;
    private static final long SEED = 30;
    private static final double GIB = 1L << 30;

    private final Supplier<CudaDevice> device;
    private final Ceilings ceilings;
    private final Consumer<GpuRow> rows;
    private final PrintStream progress;
    private final List<String> notReached = new ArrayList<>();

    private Settings settings;
    private String format;
    private CudaBackend backend;
    private BackendSteps steps;
    private StepArithmetic arithmetic;
    private long endNanos;

    /// @param device   opens a device, whose memory nothing else holds
    /// @param progress a line for each thing that begins
    public WholeSteps(Supplier<CudaDevice> device, Ceilings ceilings, Consumer<GpuRow> rows, PrintStream progress) {
        this.device = device;
        this.ceilings = ceilings;
        this.rows = rows;
        this.progress = progress;
    }

    /// Runs it all.
    ///
    /// @return what was not reached
    public List<String> run(Settings settings) {
        this.settings = settings;
        notReached.clear();
        progress.println("starting " + settings.model());
        try (Model model = Model.openUnmade(settings.model())) {
            format = model.numberFormat();
            arithmetic = new StepArithmetic(model.config(), model.weights(), settings.kvFormat().bytes());
            CudaDevice opened = device.get();
            long freeBefore = opened.freeBytes();
            try (CudaBackend started = start(model, opened)) {
                backend = started;
                steps = new BackendSteps(backend);
                progress.println(backend.description() + "; " + memory(freeBefore, opened));
                begin("steps of batches at a context of " + number(settings.context()));
                batches();
                begin("prompts");
                prompts();
                if (settings.longTokens() > 0) {
                    begin("one sequence of " + number(settings.longTokens()) + " tokens");
                    longSequence(() -> memory(freeBefore, opened));
                }
            }
        }
        return List.copyOf(notReached);
    }

    private void begin(String part) {
        progress.println(part);
        endNanos = System.nanoTime() + settings.partLimit().toNanos();
    }

    private boolean timeIsUp() {
        return System.nanoTime() - endNanos >= 0;
    }

    private static String memory(long freeBefore, CudaDevice device) {
        long free = device.freeBytes();
        return String.format(Locale.ROOT, "%.2f GiB of device memory taken, %.2f free", (freeBefore - free) / GIB, free / GIB);
    }

    /// Weights and graphs.
    private CudaBackend start(Model model, CudaDevice opened) {
        long began = System.nanoTime();
        long[] weightsDone = {began};
        var built = new CudaBackend(opened, model.config(), model.weights(), settings.memory(model), settings.options(),
                (done, total) -> weightsDone[0] = done == total ? System.nanoTime() : weightsDone[0]);
        long end = System.nanoTime();
        double bytes = model.summary().bytes();
        double weightMicros = (weightsDone[0] - began) / 1e3;
        double graphMicros = (end - weightsDone[0]) / 1e3;
        rows.accept(row("start, weights", String.format(Locale.ROOT, "%.2f GB", bytes / 1e9), new Spread(weightMicros, weightMicros),
                new StepCost(bytes, 0, 0), model.synthetic() ? "made on the device" : "uploaded"));
        rows.accept(new GpuRow(GpuRow.Kind.STEP, "start, graphs", "up to " + settings.largestBatch() + " rows", graphMicros,
                graphMicros, 0, 0, 0, ""));
        return built;
    }

    private void batches() {
        List<Sequence> ready = new ArrayList<>();
        try {
            prepare(ready);
            int first = 0;
            for (int batch : settings.batches()) {
                if (batch > ready.size() || timeIsUp()) {
                    notReached.add("decode at batch " + batch);
                    continue;
                }
                // others each time: so all contexts stay about alike
                List<Sequence> chosen = new ArrayList<>();
                for (int i = 0; i < batch; i++) {
                    chosen.add(ready.get((first + i) % ready.size()));
                }
                first += batch;
                measure(chosen, "at " + number(settings.context()), "");
            }
            for (Settings.Mixed mixed : settings.mixed()) {
                if (mixed.sequences() > ready.size() || timeIsUp()) {
                    notReached.add(mixed.toString());
                } else {
                    measure(mixed, ready.subList(0, mixed.sequences()));
                }
            }
        } finally {
            ready.forEach(Sequence::close);
        }
    }

    /// Runs the contexts of the batches, as many sequences together as a pass holds.
    private void prepare(List<Sequence> ready) {
        int together = Math.max(1, settings.pieceTokens() / settings.context());
        while (ready.size() < settings.largestBatch() && !timeIsUp()) {
            List<Sequence> some = new ArrayList<>();
            while (some.size() < Math.min(together, settings.largestBatch() - ready.size())) {
                some.add(steps.admit(settings.batchTokens(), SEED + ready.size() + some.size()));
            }
            ready.addAll(some);
            for (int done = 0; done < settings.context(); done += settings.pieceTokens()) {
                steps.prompt(some, Math.min(settings.pieceTokens(), settings.context() - done), LogitRows.LAST);
            }
        }
    }

    private void measure(List<Sequence> sequences, String where, String note) {
        String shape = "B=" + sequences.size() + " " + where;
        double[] decode = new double[settings.repeats()];
        for (int i = -settings.warmUp(); i < settings.repeats(); i++) {
            double micros = steps.decode(sequences);
            decode[Math.max(0, i)] = micros;
        }
        report("decode", shape, sequences, decode, kernels(sequences.size()) + note);
        steps.generate(sequences, settings.warmUp());
        report("generate", shape, sequences, steps.generate(sequences, settings.repeats()), "greedy" + note);
    }

    private void measure(Settings.Mixed mixed, List<Sequence> generating) {
        double[] micros = new double[settings.repeats()];
        for (int i = -settings.warmUp(); i < settings.repeats(); i++) {
            try (Sequence prompt = steps.admit(mixed.promptTokens(), SEED + i)) {
                micros[Math.max(0, i)] = steps.mixed(generating, prompt, mixed.promptTokens());
            }
        }
        Spread spread = Spread.of(micros);
        StepCost cost = arithmetic.mixed(mixed.sequences(), context(generating, micros.length), mixed.promptTokens());
        rows.accept(row("mixed " + format, mixed.shape() + " at " + number(settings.context()), spread, cost,
                rate(mixed.sequences(), spread.medianMicros()) + " and " + rate(mixed.promptTokens(), spread.medianMicros()) + " of prompts"));
    }

    /// Tokens that sequences held in the middle of the timed steps.
    private static long context(List<Sequence> sequences, int steps) {
        long context = 0;
        for (Sequence sequence : sequences) {
            context += sequence.length() - steps / 2;
        }
        return context;
    }

    private void report(String what, String shape, List<Sequence> sequences, double[] micros, String note) {
        Spread spread = Spread.of(micros);
        rows.accept(row(what + " " + format, shape, spread, arithmetic.decode(sequences.size(), context(sequences, micros.length)),
                rate(sequences.size(), spread.medianMicros()) + "; " + note));
    }

    private String kernels(int sequences) {
        OptionalInt kernels = backend.kernelsPerStep(sequences);
        return kernels.isEmpty() ? "" : String.format(Locale.ROOT, "%d kernels, boundaries about %.0f µs", kernels.getAsInt(),
                BOUNDARY_MICROS * kernels.getAsInt());
    }

    private void prompts() {
        for (int tokens : settings.prompts()) {
            List<Double> micros = new ArrayList<>();
            StepCost cost = StepCost.NONE;
            double floor = 0;
            for (int from = 0; from < tokens; from += settings.pieceTokens()) {
                int piece = Math.min(settings.pieceTokens(), tokens - from);
                StepCost one = arithmetic.prompt(from, piece, from + piece == tokens ? 1 : 0);
                cost = cost.plus(one);
                floor += one.floorMicros(ceilings);
            }
            // the first one warms up, and counts only where there is no time for another
            while (micros.size() <= PROMPT_REPEATS && !timeIsUp()) {
                try (Sequence sequence = steps.admit(tokens + 1, SEED + micros.size())) {
                    double sum = 0;
                    while (sequence.length() < tokens) {
                        sum += piece(sequence, tokens);
                    }
                    micros.add(sum);
                }
            }
            if (micros.isEmpty()) {
                notReached.add("a prompt of " + number(tokens) + " tokens");
                continue;
            }
            Spread spread = Spread.of(micros.stream().skip(micros.size() > 1 ? 1 : 0).mapToDouble(Double::doubleValue).toArray());
            rows.accept(prompt(number(tokens) + " tokens", spread, cost, floor, tokens, ""));
        }
    }

    private double piece(Sequence sequence, int tokens) {
        int count = Math.min(settings.pieceTokens(), tokens - sequence.length());
        boolean last = sequence.length() + count == tokens;
        return steps.prompt(List.of(sequence), count, last ? LogitRows.LAST : LogitRows.NONE);
    }

    /// As far as the time allows, and then steps at the context that was reached.
    ///
    /// @param memory says what is taken then: nothing allocates in between, so it is the peak
    private void longSequence(Supplier<String> memory) {
        int wanted = settings.longTokens();
        try (Sequence sequence = steps.admit(wanted + settings.stepsOfABatch() + 1, SEED)) {
            double micros = 0;
            StepCost cost = StepCost.NONE;
            double floor = 0;
            while (sequence.length() < wanted && !timeIsUp()) {
                int from = sequence.length();
                micros += piece(sequence, wanted);
                StepCost one = arithmetic.prompt(from, sequence.length() - from, sequence.length() == wanted ? 1 : 0);
                cost = cost.plus(one);
                floor += one.floorMicros(ceilings);
            }
            if (sequence.length() < wanted) {
                notReached.add("tokens " + number(sequence.length()) + " to " + number(wanted) + " of the long sequence");
            }
            if (sequence.length() > 0) {
                rows.accept(prompt(number(sequence.length()) + " tokens", new Spread(micros, micros), cost, floor, sequence.length(),
                        "; in pieces of " + number(settings.pieceTokens())));
                measure(List.of(sequence), "at " + number(sequence.length()), "; " + memory.get());
            }
        }
    }

    private GpuRow prompt(String shape, Spread spread, StepCost cost, double floorMicros, int tokens, String note) {
        return new GpuRow(GpuRow.Kind.STEP, "prompt " + format, shape, spread.medianMicros(), spread.p95Micros(), cost.bytes(),
                cost.flops(), floorMicros, rate(tokens, spread.medianMicros()) + note);
    }

    private GpuRow row(String name, String shape, Spread spread, StepCost cost, String note) {
        return new GpuRow(GpuRow.Kind.STEP, name, shape, spread.medianMicros(), spread.p95Micros(), cost.bytes(), cost.flops(),
                cost.floorMicros(ceilings), note);
    }

    private static String rate(int tokens, double micros) {
        return String.format(Locale.ROOT, "%,.0f tok/s", tokens / micros * 1e6);
    }

    private static String number(int value) {
        return String.format(Locale.ROOT, "%,d", value);
    }
}
