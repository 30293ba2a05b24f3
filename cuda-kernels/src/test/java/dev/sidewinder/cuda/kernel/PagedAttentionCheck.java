package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.kernel.AttentionCase.Piece;
import dev.sidewinder.cuda.kernel.AttentionMemory.Content;
import dev.sidewinder.cuda.kernel.AttentionMemory.Room;
import dev.sidewinder.cuda.kernel.AttentionNumbers.Sequences;
import dev.sidewinder.cuda.kernel.AttentionPlan.DecodeSplit;
import dev.sidewinder.cuda.kernel.PagedAttention.Result;
import dev.sidewinder.cuda.kernel.PagedAttention.Workspace;
import dev.sidewinder.cuda.kernel.PromptSplit.PromptWorkspace;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.stream.Stream;

/// Compares paged attention with attention in double precision over the numbers that the cache really holds, value by value,
/// and checks that rows of padded sequences, scratch counters and unwritten memory are as they must be.
final class PagedAttentionCheck {

    /// Half a unit of the last place, relative to the value.
    private static final double BF16 = Math.scalb(1.0, -8);
    private static final double F16 = Math.scalb(1.0, -11);
    private static final double E4M3 = Math.scalb(1.0, -4);
    /// Half of e4m3's smallest number.
    private static final double E4M3_TINY = Math.scalb(1.0, -10);
    /// Scores up to some hundred in fp32, exponentials to 2^-22, sums in fp32: relative to a sum of magnitudes.
    private static final double ARITHMETIC = 3e-4;
    /// The root mean square error of results that are rounded to bf16 once is 0.3 to 0.4 of [#BF16] at most; with bf16
    /// probabilities, twice the square. A sharp row has one probability and so one error for all its columns: of few rows and
    /// heads the mean strays further.
    private static final double WHOLE = 0.62 * BF16;
    /// Weights of tokens below this are zero in fp32.
    private static final double TINY_WEIGHT = Float.MIN_NORMAL;
    /// For results that leave as e4m3 too.
    static final float RESULT_SCALE = 0.013f;
    /// Rows of a step of prompts that belong to no sequence.
    private static final int ROWS_BEHIND = 2;

    private final Device device;
    private final Kernels kernels;
    private final PagedAttention attention;
    private final AttentionPlan plans;

    PagedAttentionCheck(Device device, Kernels kernels) {
        this(device, kernels, Optional.empty());
    }

    /// @param warpgroups for the prompts of shapes that they take
    PagedAttentionCheck(Device device, Kernels kernels, Optional<Sm90PagedAttentionPrompt> warpgroups) {
        this.device = device;
        this.kernels = kernels;
        this.attention = new PagedAttention(kernels, warpgroups);
        this.plans = new AttentionPlan(kernels);
    }

    static float scoreScale(AttentionShape shape) {
        return (float) (1 / Math.sqrt(shape.headDim()));
    }

    /// Results of a step, as bf16 and as e4m3: `[rows, queryHeads * headDim]`.
    record Found(short[] bf16, byte[] e4m3, int width) {

        short[] row(int row) {
            return Arrays.copyOfRange(bf16, row * width, (row + 1) * width);
        }
    }

    /// With the split that the engine would take.
    ///
    /// @throws AssertionError naming the worst value
    void checkPrompt(AttentionCase c) {
        checkPrompt(c, chosenSplit(c));
    }

    /// @throws AssertionError naming the worst value
    void checkPrompt(AttentionCase c, PromptSplit split) {
        Sequences sequences = new Sequences(c);
        compare(c, sequences, runPrompt(c, sequences, split), promptProbabilities(c));
    }

    private static double promptProbabilities(AttentionCase c) {
        return c.cache() == CacheType.BF16 && c.shape().isTiled() ? BF16 : F16;
    }

    private PromptSplit chosenSplit(AttentionCase c) {
        int maxBlocks = c.pieces().stream().mapToInt(piece -> Math.ceilDiv(piece.length(), KvCacheLayer.BLOCK_TOKENS)).max().orElseThrow() + 1;
        return attention.promptSplit(c.shape(), c.cache(), c.pieces().size(), c.rows() + ROWS_BEHIND, maxBlocks);
    }

    /// Checks that a step has the same bits whoever walks which part of its contexts; against the reference, too.
    void checkPromptSplits(AttentionCase c, List<PromptSplit> splits) {
        Sequences sequences = new Sequences(c);
        Found first = runPrompt(c, sequences, splits.getFirst());
        compare(c, sequences, first, promptProbabilities(c));
        for (PromptSplit split : splits.subList(1, splits.size())) {
            checkSame(c + " with " + split + " as with " + splits.getFirst(), runPrompt(c, sequences, split).bf16(), first.bf16());
        }
    }

    /// @throws AssertionError naming the worst value
    void checkDecode(AttentionCase c, DecodeSplit split) {
        Sequences sequences = new Sequences(c);
        compare(c, sequences, runDecode(c, sequences, split), decodeProbabilities(c));
    }

    private static double decodeProbabilities(AttentionCase c) {
        return c.cache() == CacheType.BF16 || !c.shape().isTiled() ? 0 : F16;
    }

    /// The prompt kernel, with rows behind the last sequence.
    private Found runPrompt(AttentionCase c, Sequences sequences, PromptSplit split) {
        int rows = c.rows() + ROWS_BEHIND;
        try (AttentionMemory on = new AttentionMemory(device, c, sequences, Content.ALL, Room.JUST_ENOUGH)) {
            int width = c.shape().queryHeads() * c.shape().headDim();
            long out = on.memory().unwritten(2L * rows * width);
            long quantised = on.memory().unwritten((long) rows * width);
            long plan = on.memory().unwritten(AttentionPlan.promptBytes(on.step().sequences()));
            long nodeBytes = split.nodeBytes(c.shape(), on.step().maxBlocks());
            long counters = on.memory().zeros(split.counterBytes());
            var workspace = new PromptWorkspace(on.memory().unwritten(Math.max(16, nodeBytes)), counters, on.step().maxBlocks());
            plans.prompt(device.stream(), plan, c.shape(), on.step(), split);
            attention.prompt(device.stream(), new Result(out, quantised, RESULT_SCALE), workspace, on.queries(), on.cache(),
                    c.shape(), on.step(), plan, split, rows, scoreScale(c.shape()));
            for (int counter : on.memory().ints(counters, (int) (split.counterBytes() / Integer.BYTES))) {
                if (counter != 0) {
                    throw new AssertionError(c + " with " + split + ": a counter was left at " + counter);
                }
            }
            return new Found(on.memory().shorts(out, rows * width), on.memory().bytes(quantised, rows * width), width);
        }
    }

    /// A decode step's memory and its launches.
    private final class DecodeRun {
        private final AttentionCase attentionCase;
        private final AttentionMemory on;
        private final DecodeSplit split;
        private final int width;
        private final long out;
        private final long quantised;
        private final long plan;
        private final Workspace workspace;

        DecodeRun(AttentionCase c, AttentionMemory on, DecodeSplit split) {
            this.attentionCase = c;
            this.on = on;
            this.split = split;
            this.width = c.shape().queryHeads() * c.shape().headDim();
            this.out = on.memory().unwritten(2L * c.rows() * width);
            this.quantised = on.memory().unwritten((long) c.rows() * width);
            int slots = split.partialSlots(c.shape(), on.step().sequences(), on.step().maxBlocks());
            this.workspace = new Workspace(on.memory().unwritten(Workspace.partialBytes(c.shape(), slots)),
                    on.memory().zeros(Workspace.counterBytes(slots)), slots);
            this.plan = on.memory().unwritten(AttentionPlan.decodeBytes(on.step().sequences(), split));
        }

        void launch() {
            AttentionShape shape = attentionCase.shape();
            plans.decode(device.stream(), plan, shape, on.decodeStep(), split);
            attention.decode(device.stream(), new Result(out, quantised, RESULT_SCALE), workspace, on.queries(), on.cache(),
                    shape, on.decodeStep(), plan, split, scoreScale(shape));
        }

        /// Partial results too: what an earlier launch left there must not pass for what this one should write.
        void forgetResults() {
            device.stream().fill(workspace.partials(), (byte) 0xff, Workspace.partialBytes(attentionCase.shape(), workspace.slots()));
            device.stream().fill(out, (byte) 0xff, 2L * attentionCase.rows() * width);
            device.stream().fill(quantised, (byte) 0xff, (long) attentionCase.rows() * width);
        }

        Found found() {
            int count = attentionCase.rows() * width;
            for (int counter : on.memory().ints(workspace.counters(), 2 * workspace.slots())) {
                if (counter != 0) {
                    throw new AssertionError(attentionCase + ": a counter was left at " + counter);
                }
            }
            return new Found(on.memory().shorts(out, count), on.memory().bytes(quantised, count), width);
        }
    }

    /// The decode kernel, twice in a row over the same scratch memory: the second run must find it as the first did.
    private Found runDecode(AttentionCase c, Sequences sequences, DecodeSplit split) {
        try (AttentionMemory on = new AttentionMemory(device, c, sequences, Content.ALL, Room.JUST_ENOUGH)) {
            DecodeRun run = new DecodeRun(c, on, split);
            run.launch();
            Found first = run.found();
            run.forgetResults();
            run.launch();
            Found second = run.found();
            checkSame(c + ", launched again", second.bf16(), first.bf16());
            return second;
        }
    }

    /// Launches a step many times over, so that blocks that share a context arrive in many orders, and some at once.
    void checkManyLaunches(AttentionCase c, DecodeSplit split, int launches) {
        Sequences sequences = new Sequences(c);
        try (AttentionMemory on = new AttentionMemory(device, c, sequences, Content.ALL, Room.JUST_ENOUGH)) {
            DecodeRun run = new DecodeRun(c, on, split);
            run.launch();
            Found first = run.found();
            compare(c, sequences, first, decodeProbabilities(c));
            for (int launch = 1; launch < launches; launch++) {
                run.forgetResults();
                run.launch();
                checkSame(c + ", launch " + launch, run.found().bf16(), first.bf16());
            }
        }
    }

    /// Captures writing the new tokens, planning and attention once, and replays the graph for each of `steps`: other
    /// lengths, slots, tables and numbers in the same memory. Every replay must give what a plain launch gives.
    void checkReplays(List<AttentionCase> steps, DecodeSplit split) {
        AttentionCase any = steps.getFirst();
        Sequences sequences = new Sequences(any);
        int tableBlocks = steps.stream().flatMap(step -> step.pieces().stream())
                .mapToInt(piece -> piece.length() / KvCacheLayer.BLOCK_TOKENS + 2).max().orElseThrow();
        Room room = new Room(tableBlocks, tableBlocks * any.pieces().size());
        int width = any.shape().kvHeads() * any.shape().headDim();
        KvWrite write = new KvWrite(kernels);
        try (AttentionMemory fixed = new AttentionMemory(device, any, sequences, Content.BEFORE_THE_STEP, room)) {
            DecodeRun run = new DecodeRun(any, fixed, split);
            ActivationRows keys = fixed.activations(width, AttentionNumbers::keys);
            ActivationRows values = fixed.activations(width, AttentionNumbers::values);
            try (CudaGraph graph = device.stream().capture(() -> {
                write.write(device.stream(), fixed.cache(), keys, values, fixed.decodeStep(), any.rows());
                run.launch();
            })) {
                for (AttentionCase step : steps) {
                    try (AttentionMemory next = new AttentionMemory(device, step, sequences, Content.BEFORE_THE_STEP, room)) {
                        fixed.takeContentOf(next);
                        fixed.takeRows(keys, next.activations(width, AttentionNumbers::keys));
                        fixed.takeRows(values, next.activations(width, AttentionNumbers::values));
                        run.forgetResults();
                        graph.launch(device.stream());
                        Found found = run.found();
                        compare(step, sequences, found, decodeProbabilities(step));
                        checkSame("replay of " + step, found.bf16(), runDecode(step, sequences, split).bf16());
                    }
                }
            }
        }
    }

    static void checkSame(String what, short[] found, short[] expected) {
        for (int i = 0; i < expected.length; i++) {
            if (found[i] != expected[i]) {
                throw new AssertionError("%s: value %d of %d is %s (0x%04x) instead of %s (0x%04x)".formatted(what, i, expected.length,
                        SmallFloats.bf16(found[i]), found[i] & 0xffff, SmallFloats.bf16(expected[i]), expected[i] & 0xffff));
            }
        }
    }

    /// The largest errors seen, as multiples of what is allowed.
    private static final class Worst {
        double share;
        String place = "";
        double squares;
        double errors;

        void take(double found, double expected, double allowed, String what, Piece piece, int position, int head, int column) {
            double error = Math.abs(found - expected);
            squares += expected * expected;
            errors += error * error;
            if (!(error <= share * allowed)) {
                share = error / allowed;
                place = "%s of %s, token %d, head %d, column %d is %s instead of %s".formatted(what, piece, position, head, column,
                        found, expected);
            }
        }
    }

    private void compare(AttentionCase c, Sequences sequences, Found found, double probabilities) {
        Worst plain = new Worst();
        Worst quantised = new Worst();
        int row = 0;
        for (Piece piece : c.pieces()) {
            if (!piece.padded()) {
                compare(c, piece, sequences.of(piece.identity()), row, found, probabilities, plain, quantised);
            }
            for (int i = 0; piece.padded() && i < piece.count(); i++) {
                checkUntouched(c, found, row + i);
            }
            row += piece.count();
        }
        for (; row < found.bf16().length / found.width(); row++) {
            checkUntouched(c, found, row);
        }
        double whole = Math.sqrt(plain.errors / Math.max(plain.squares, Double.MIN_NORMAL));
        double allowed = WHOLE * (1 + 1 / Math.sqrt(Math.max(1, c.rows() * c.shape().queryHeads())));
        if (!(plain.share <= 1) || !(quantised.share <= 1) || !(whole <= allowed)) {
            throw new AssertionError("%s: relative error of the whole %.3g (allowed %.3g), worst %.3g times what is allowed: %s; e4m3 %.3g: %s"
                    .formatted(c, whole, allowed, plain.share, plain.place, quantised.share, quantised.place));
        }
    }

    private void compare(AttentionCase c, Piece piece, AttentionNumbers numbers, int firstRow, Found found,
            double probabilities, Worst plain, Worst quantised) {
        double[][] keys = numbers.context(piece.length(), true);
        double[][] values = numbers.context(piece.length(), false);
        int headDim = c.shape().headDim();
        for (int i = 0; i < piece.count(); i++) {
            int position = piece.position() + i;
            float[] queries = numbers.queries(position);
            for (int head = 0; head < c.shape().queryHeads(); head++) {
                AttentionNumbers.Attended expected =
                        numbers.attend(position, head, queries, keys, values, scoreScale(c.shape()));
                for (int d = 0; d < headDim; d++) {
                    int at = (firstRow + i) * found.width() + head * headDim + d;
                    double value = expected.values()[d];
                    double inside = (probabilities + ARITHMETIC) * expected.magnitudes()[d] + TINY_WEIGHT;
                    plain.take(SmallFloats.bf16(found.bf16()[at]), value, BF16 * (Math.abs(value) + inside) + inside, "bf16",
                            piece, position, head, d);
                    double scaled = Math.max(-448, Math.min(448, value / RESULT_SCALE));
                    quantised.take(SmallFloats.e4m3(found.e4m3()[at]), scaled,
                            E4M3 * (Math.abs(scaled) + inside / RESULT_SCALE) + E4M3_TINY + inside / RESULT_SCALE, "e4m3",
                            piece, position, head, d);
                }
            }
        }
    }

    private static void checkUntouched(AttentionCase c, Found found, int row) {
        for (int i = row * found.width(); i < (row + 1) * found.width(); i++) {
            if (found.bf16()[i] != -1 || found.e4m3()[i] != -1) {
                throw new AssertionError("%s: row %d belongs to nobody, and its value %d was written".formatted(c, row,
                        i - row * found.width()));
            }
        }
    }

    /// Checks that a prompt has the same bits whole, cut at every multiple of `cut` tokens, and alone or among `others`.
    void checkPromptInvariance(AttentionCase alone, List<Piece> others, int cut) {
        PromptSplit chosen = chosenSplit(alone.with(Stream.concat(alone.pieces().stream(), others.stream()).toList()));
        checkPromptInvariance(alone, others, cut, chosen, chosen);
    }

    /// The same, where the whole prompt alone is split in one way, and all else in another.
    void checkPromptInvariance(AttentionCase alone, List<Piece> others, int cut, PromptSplit splitAlone, PromptSplit split) {
        Sequences sequences = new Sequences(alone);
        Piece whole = alone.pieces().getFirst();
        Found expected = runPrompt(alone, sequences, splitAlone);
        List<Piece> amongOthers = new ArrayList<>(others);
        amongOthers.add(others.size() / 2, whole);
        int firstRow = others.subList(0, others.size() / 2).stream().mapToInt(Piece::count).sum();
        Found among = runPrompt(alone.with(amongOthers), sequences, split);
        for (int row = 0; row < whole.count(); row++) {
            checkSame(alone + " among others, row " + row, among.row(firstRow + row), expected.row(row));
        }
        for (int from = 0; from < whole.count(); from += cut) {
            int count = Math.min(cut, whole.count() - from);
            Piece part = AttentionCase.piece(whole.identity(), whole.position() + from, count);
            Found cutOut = runPrompt(alone.with(List.of(AttentionCase.padded(1), part)), sequences, split);
            for (int row = 0; row < count; row++) {
                checkSame(alone + " cut at " + from + ", row " + row, cutOut.row(1 + row), expected.row(from + row));
            }
        }
    }

    /// Checks that each row of a decode step has the bits that it has alone, under the invariant policy or, for plain
    /// shapes, under any.
    void checkDecodeInvariance(AttentionCase together, SplitPolicy policy, int workersTogether, int workersAlone) {
        Sequences sequences = new Sequences(together);
        Found expected = runDecode(together, sequences, new DecodeSplit(policy, workersTogether));
        for (int row = 0; row < together.pieces().size(); row++) {
            Piece piece = together.pieces().get(row);
            if (!piece.padded()) {
                Found alone = runDecode(together.with(List.of(piece)), sequences, new DecodeSplit(policy, workersAlone));
                checkSame(together + ", row " + row + " alone", alone.row(0), expected.row(row));
            }
        }
    }
}
