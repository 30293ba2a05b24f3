package dev.sidewinder.engine;

import dev.sidewinder.engine.Trace.Action;
import dev.sidewinder.engine.Trace.FaultKind;
import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.scheduler.Mark;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Map;
import java.util.Random;
import java.util.Set;

/// Draws a trace from a seed. Lengths lie near the edges of blocks, pieces and pool.
final class TraceDrawing {

    private static final int BLOCK = CacheShape.BLOCK_TOKENS;
    /// Of answers with a stop token, few are longer.
    private static final int MOSTLY_STOPPED_TOKENS = 300;

    private final long seed;
    private final Trace.Size size;
    private final int vocabSize;
    private final boolean sessions;
    private final Random random;
    private final int longest;
    private final List<Action> actions = new ArrayList<>();
    private final List<Action.Arrive> arrivals = new ArrayList<>();
    private long lastStep;

    /// @param sessions whether the backend can have sessions, whose requests are as if nothing of them had been computed before: a host
    ///                 area, and decode steps that leave the same bits as scans
    TraceDrawing(long seed, Trace.Size size, FrameShape frames, int vocabSize, boolean sessions) {
        this.seed = seed;
        this.size = size;
        this.vocabSize = vocabSize;
        this.sessions = sessions;
        this.random = new Random(seed);
        this.longest = Math.min(size.longestTokens(), (int) frames.mostTokens() + 1);
    }

    Trace draw() {
        EngineLimits limits = limits();
        addRequests();
        // Drawn apart, so that a trace has the same requests whatever else happens in it.
        Random more = new Random(~seed);
        addResets(more);
        addPauses(more);
        addFollowUps(new Random(seed + 2));
        if (sessions) {
            addSessions(more);
        }
        addEnd(more);
        actions.sort(Comparator.comparingLong(Action::step));
        return new Trace(seed, limits, vocabSize, size.poisonToken(), actions);
    }

    private EngineLimits limits() {
        int maxSequences = 1 + random.nextInt(6);
        int batchTokens = BLOCK * (1 + random.nextInt(4)) + maxSequences;
        Random more = new Random(seed + 1);
        // In a quarter of the traces the queue is short, in a quarter clients are impatient.
        int queue = more.nextInt(4) == 0 ? 3 + more.nextInt(6) : 4096;
        Timeouts timeouts = more.nextInt(4) > 0 ? Timeouts.DEFAULT
                : new Timeouts(millis(more, 200), millis(more, 400), millis(more, 1000), millis(more, 100));
        Duration gap = List.of(Duration.ZERO, Duration.ofMillis(4), EngineLimits.DEFAULT_TOKEN_GAP).get(more.nextInt(3));
        return new EngineLimits(maxSequences, batchTokens, queue, 10_000_000, longest, timeouts, gap);
    }

    private static Duration millis(Random random, int about) {
        return Duration.ofMillis(about / 2 + random.nextInt(about));
    }

    private void addRequests() {
        int count = 1 + random.nextInt(size.maxRequests());
        int mostStepsToCancel = Math.max(30, size.maxTokens());
        long step = 0;
        for (int i = 0; i < count; i++) {
            // Mostly together, sometimes after a time long enough for everything to end.
            step += switch (random.nextInt(4)) {
                case 0, 1 -> 0;
                case 2 -> random.nextInt(5);
                default -> random.nextInt(60);
            };
            TraceRequest request = request();
            arrivals.add(new Action.Arrive(step, i, request));
            actions.add(arrivals.getLast());
            if (random.nextInt(4) == 0) {
                actions.add(new Action.Stall(step, i, step + random.nextInt(700)));
            }
            if (random.nextInt(4) == 0) {
                actions.add(new Action.Cancel(step + random.nextInt(mostStepsToCancel), i));
            } else if (random.nextInt(6) == 0) {
                actions.add(new Action.CancelChoice(step + random.nextInt(mostStepsToCancel), i, random.nextInt(request.choices())));
            }
            if (random.nextInt(10) == 0) {
                actions.add(new Action.Retry(step + random.nextInt(mostStepsToCancel), i));
            }
            if (random.nextInt(40) == 0) {
                actions.add(new Action.Burst(step + random.nextInt(10), i, 2 + random.nextInt(6)));
            }
        }
        lastStep = step;
    }

    /// Next turns of what was answered, or of what there is of it, at times when most have ended; and next turns of these. Of half of them what
    /// they begin with is computed before they come.
    private void addFollowUps(Random more) {
        int[] lengths = {1, 2, 20, BLOCK - 1, BLOCK, BLOCK + 1};
        for (int i = more.nextInt(size.maxRequests()); i > 0; i--) {
            Action.Arrive before = arrivals.get(more.nextInt(arrivals.size()));
            // Where a state of the answer may be kept, mostly.
            for (int tries = 0; tries < 10 && !mayKeepAnswer(before.what()); tries++) {
                before = arrivals.get(more.nextInt(arrivals.size()));
            }
            long step = before.step() + before.what().maxTokens() + more.nextInt(100 + before.what().maxTokens());
            var prompt = TracePrompt.of(Math.min(lengths[more.nextInt(lengths.length)], longest), more.nextLong());
            TraceRequest what = TraceRequest.of(prompt, more.nextInt(size.maxTokens())).withSampling(sampling(more))
                    .withPrefixes(before.what().partition(), marks(more, prompt.length()), more.nextBoolean())
                    .withAnswerKept(before.what().partition() >= 0 && more.nextBoolean())
                    .withUrgency(before.what().priority(), before.what().tenant());
            if (more.nextBoolean()) {
                actions.add(new Action.Prepare(step - more.nextInt(1 + (int) (step - before.step())), before.request(), prompt));
            }
            arrivals.add(new Action.Arrive(step, arrivals.size(), what));
            actions.add(new Action.FollowUp(step, arrivals.size() - 1, before.request(), what));
        }
    }

    /// Whether a generated token that is computed may be the last of a block.
    private static boolean mayKeepAnswer(TraceRequest request) {
        int length = request.prompt().length();
        return request.keepsAnswer() && (length + request.maxTokens() - 1) / BLOCK > length / BLOCK;
    }

    private void addResets(Random more) {
        for (int i = more.nextInt(4); i > 0; i--) {
            actions.add(new Action.Reset(more.nextLong(lastStep + 50), more.nextInt(3) - 1));
        }
    }

    private void addPauses(Random more) {
        for (int i = more.nextInt(3); i > 0; i--) {
            actions.add(new Action.Pause(more.nextLong(lastStep + 50), 1 + more.nextInt(300)));
        }
    }

    /// Few sessions with many turns, so that they are long, and forks of them go on side by side.
    private void addSessions(Random more) {
        int count = 2 + more.nextInt(3);
        long step = 0;
        for (int i = more.nextInt(3 * size.maxRequests() / 2); i > 0; i--) {
            int session = more.nextInt(count);
            step += more.nextInt(3) == 0 ? more.nextInt(60) : more.nextInt(4);
            int kind = more.nextInt(10);
            if (kind < 2) {
                actions.add(new Action.Fork(step, session, (session + 1) % count));
            } else if (kind == 2) {
                actions.add(new Action.Forget(step, session));
            } else {
                int[] lengths = {1, 2, 30, BLOCK - 1, BLOCK, BLOCK + 1};
                int length = Math.min(lengths[more.nextInt(lengths.length)], longest);
                double keptShare = more.nextInt(4) > 0 ? 1 : more.nextInt(3) * 0.5;
                actions.add(new Action.Turn(step, session, TracePrompt.of(length, more.nextLong()), 1 + more.nextInt(size.maxTokens()),
                        sampling(more), keptShare));
            }
        }
    }

    /// A few traces do not end by everybody having an answer.
    private void addEnd(Random more) {
        long step = more.nextLong(lastStep + 50);
        switch (more.nextInt(20)) {
            case 0 -> actions.add(new Action.Drain(step));
            case 1 -> {
                actions.add(new Action.Drain(step));
                actions.add(new Action.Close(step + more.nextInt(20)));
            }
            case 2 -> actions.add(new Action.Fault(step, FaultKind.values()[more.nextInt(FaultKind.values().length)]));
            default -> { }
        }
    }

    private TraceRequest request() {
        int[] lengths = {1, 2, 5, 20, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1, 3 * BLOCK, longest - 1, longest};
        int length = Math.clamp(lengths[random.nextInt(lengths.length)], 1, longest);
        int answer = random.nextInt(10) == 0 ? longest - length : random.nextInt(size.maxTokens());
        boolean poisoned = size.poisonToken() >= 0 && random.nextInt(12) == 0;
        // Few different beginnings, so that many prompts share one and differ somewhere.
        var prompt = new TracePrompt(random.nextInt(3), random.nextInt(length + 1), length, random.nextLong(), poisoned ? random.nextInt(length) : -1);
        Set<Integer> stops = random.nextInt(3) == 0 ? Set.of() : Set.of(random.nextInt(vocabSize));
        // Where answers are to be long, few may end early.
        stops = size.maxTokens() > MOSTLY_STOPPED_TOKENS && random.nextInt(4) > 0 ? Set.of() : stops;
        TraceRequest request = TraceRequest.of(prompt, Math.min(answer, longest - length))
                .withMinTokens(random.nextInt(3) == 0 ? random.nextInt(20) : 0).withStops(stops)
                .withChoices(random.nextInt(4) == 0 ? 1 + random.nextInt(3) : 1)
                .withPromptLogprobs(random.nextInt(8) == 0 ? random.nextInt(3) : -1).withSampling(sampling(random))
                .withGuide(random.nextInt(3) > 0 ? -1 : random.nextInt(30));
        if (random.nextInt(3) == 0) {
            request = request.withUrgency(random.nextInt(3) - 1, random.nextBoolean() ? "a" : "b");
        }
        return request.promptLogprobs() >= 0 || random.nextInt(4) == 0 ? request : withPrefixes(request);
    }

    /// Two partitions, so that prompts with the same beginning meet within one and not across.
    private TraceRequest withPrefixes(TraceRequest request) {
        List<Mark> marks = marks(random, request.prompt().length());
        return request.withPrefixes(random.nextInt(2), marks, random.nextBoolean()).withAnswerKept(random.nextBoolean());
    }

    private static List<Mark> marks(Random random, int length) {
        List<Mark> marks = new ArrayList<>();
        int position = 0;
        while (random.nextInt(4) > 0 && position < length) {
            position += 1 + random.nextInt(length - position);
            marks.add(new Mark(position, CheckpointPoint.values()[random.nextInt(CheckpointPoint.values().length)]));
        }
        return marks;
    }

    private SamplingParams sampling(Random random) {
        boolean greedy = random.nextInt(3) == 0;
        Map<Integer, Float> bias = random.nextInt(6) == 0 ? Map.of(random.nextInt(vocabSize), (float) random.nextInt(10)) : Map.of();
        List<Integer> allowed = random.nextInt(10) == 0 ? List.of(1, vocabSize / 2, vocabSize - 1) : List.of();
        List<int[]> badWords = random.nextInt(10) == 0 ? List.of(new int[] {3}, new int[] {1, 2}) : List.of();
        return new SamplingParams(greedy ? 0 : 0.2 + random.nextDouble(), random.nextInt(3) == 0 ? 1 + random.nextInt(20) : 0,
                random.nextInt(3) == 0 ? random.nextDouble() : 1, random.nextInt(5) == 0 ? random.nextDouble() * 0.3 : 0,
                random.nextInt(5) == 0 ? 1.3 : 1, random.nextInt(5) == 0 ? 0.5 : 0, random.nextInt(5) == 0 ? 0.3 : 0, bias, allowed,
                badWords, random.nextLong(), random.nextInt(3) == 0 ? random.nextInt(4) : -1);
    }
}
