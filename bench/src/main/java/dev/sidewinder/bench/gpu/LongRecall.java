package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.BackendSteps.Sequence;
import dev.sidewinder.engine.LoadProgress;
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
import java.util.Arrays;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;

/// Whether a trained model still knows, on a device, what stood at the beginning of a very long prompt: an error that adds
/// up, a state that is not handed on or a key that is out of reach shows in the answer.
public final class LongRecall {

    /// @param model       location of a model with tokenizer and chat template
    /// @param lengths     tokens of the prompts
    /// @param prompts     of each length at most; long ones are tried once
    /// @param pieceTokens tokens of a pass at most, a multiple of 128
    /// @param limit       after which no length begins
    public record Settings(String model, KvFormat kvFormat, List<Integer> lengths, int prompts, int pieceTokens, Duration limit) {

        public Settings {
            lengths = List.copyOf(lengths);
        }

        /// The lengths of interest: of its training, and up to a million tokens.
        public static Settings tiny(String model, Duration limit) {
            return new Settings(model, KvFormat.BF16, List.of(1024, 4096, 16_384, 65_536, 262_144, 1 << 20), 10, 8192, limit);
        }
    }

    /// What the model said.
    ///
    /// @param asked pass phrases that were asked for
    /// @param right answers that named them
    /// @param wrong one that did not; empty when there is none
    public record Answers(int tokens, int asked, int right, String wrong) {}

    /// @param answers    by length, as far as the time allowed
    /// @param notReached lengths that were not tried
    public record Result(List<Answers> answers, List<Integer> notReached) {}

    private static final int ANSWER_TOKENS = 24;
    /// Short prompts are tried several times, until they come to so many tokens.
    private static final int TOKENS_OF_A_LENGTH = 65_536;
    private static final long SEED = 1_000;

    private final Supplier<CudaDevice> device;
    private final Consumer<GpuRow> rows;
    private final PrintStream progress;

    /// @param device   opens a device, whose memory nothing else holds
    /// @param progress a line for each length
    public LongRecall(Supplier<CudaDevice> device, Consumer<GpuRow> rows, PrintStream progress) {
        this.device = device;
        this.rows = rows;
        this.progress = progress;
    }

    public Result run(Settings settings) {
        long began = System.nanoTime();
        List<Answers> answers = new ArrayList<>();
        List<Integer> notReached = new ArrayList<>();
        int longest = Collections.max(settings.lengths()) + ANSWER_TOKENS;
        var options = new CudaOptions(settings.pieceTokens(), 1, longest, settings.kvFormat(), false, true);
        try (Model model = Model.openUnmade(settings.model())) {
            var prompts = new PassPhrasePrompts(model);
            try (var backend = new CudaBackend(device.get(), model.config(), model.weights(),
                    CudaBackend.memory(model.config(), settings.kvFormat(), 1, CacheShape.blocksFor(longest)), options, LoadProgress.SILENT)) {
                var steps = new BackendSteps(backend);
                for (int length : settings.lengths()) {
                    if (System.nanoTime() - began >= settings.limit().toNanos()) {
                        notReached.add(length);
                        continue;
                    }
                    progress.println("recall over " + String.format(Locale.ROOT, "%,d", length) + " tokens");
                    answers.add(ask(model, prompts, steps, settings, length));
                }
            }
        }
        return new Result(List.copyOf(answers), List.copyOf(notReached));
    }

    private Answers ask(Model model, PassPhrasePrompts prompts, BackendSteps steps, Settings settings, int length) {
        int asked = Math.clamp(TOKENS_OF_A_LENGTH / length, 1, settings.prompts());
        int right = 0;
        String wrong = "";
        double[] micros = new double[asked];
        for (int i = 0; i < asked; i++) {
            PassPhrasePrompts.Prompt prompt = prompts.make(length, SEED + i);
            int[] tokens = Arrays.copyOf(prompt.tokens(), prompt.tokens().length + ANSWER_TOKENS);
            try (Sequence sequence = steps.admit(tokens)) {
                micros[i] = read(sequence, prompt.tokens().length, steps, settings.pieceTokens());
                String answer = answer(sequence, steps, model);
                if (answer.contains(prompt.phrase())) {
                    right++;
                } else {
                    wrong = "\"" + prompt.phrase() + "\" was asked for, and the answer was \"" + answer + "\"";
                }
            }
        }
        Spread spread = Spread.of(micros);
        rows.accept(new GpuRow(GpuRow.Kind.STEP, "recall " + model.numberFormat(), String.format(Locale.ROOT, "%,d tokens", length),
                spread.medianMicros(), spread.p95Micros(), 0, 0, 0,
                right + " of " + asked + " right" + (wrong.isEmpty() ? "" : "; " + wrong)));
        return new Answers(length, asked, right, wrong);
    }

    private static double read(Sequence sequence, int tokens, BackendSteps steps, int pieceTokens) {
        double micros = 0;
        while (sequence.length() < tokens) {
            int count = Math.min(pieceTokens, tokens - sequence.length());
            boolean last = sequence.length() + count == tokens;
            micros += steps.prompt(List.of(sequence), count, last ? LogitRows.LAST : LogitRows.NONE);
        }
        return micros;
    }

    private static String answer(Sequence sequence, BackendSteps steps, Model model) {
        Set<Integer> stops = model.generationConfig().stopTokenIds();
        int begin = sequence.length();
        int most = ANSWER_TOKENS - 1;
        if (!stops.contains(sequence.token(begin))) {
            steps.generate(List.of(sequence), most, done -> stops.contains(sequence.token(begin + done)));
        }
        int end = begin;
        while (end < begin + most && !stops.contains(sequence.token(end))) {
            end++;
        }
        int[] ids = new int[end - begin];
        for (int i = 0; i < ids.length; i++) {
            ids[i] = sequence.token(begin + i);
        }
        return model.tokenizer().orElseThrow().decode(ids, true).strip();
    }
}
