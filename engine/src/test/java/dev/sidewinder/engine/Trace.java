package dev.sidewinder.engine;

import dev.sidewinder.kvcache.CacheShape;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.scheduler.Mark;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import java.util.function.Supplier;

/// A list of things that happen to an engine, drawn from a seed: arrivals, cancels of requests and of single choices, slow readers,
/// resets of the prefix cache, turns and forks of sessions, each at the beginning of a step. Lengths lie near the edges of blocks,
/// pieces and pool.
///
/// @param limits  of the engine
/// @param actions in order of their steps
public record Trace(long seed, EngineLimits limits, List<GenerationRequest> requests, List<Action> actions) {

    private static final int BLOCK = CacheShape.BLOCK_TOKENS;
    /// Of answers with a stop token, few are longer.
    private static final int MOSTLY_STOPPED_TOKENS = 300;

    /// What happens, and at the beginning of which step.
    public sealed interface Action {
        long step();

        record Arrive(long step, int request) implements Action {}

        record Cancel(long step, int request) implements Action {}

        record CancelChoice(long step, int request, int choice) implements Action {}

        /// Its reader takes nothing until a later step.
        record Stall(long step, int request, long untilStep) implements Action {}

        /// The prefix cache is emptied.
        ///
        /// @param partition of this partition only; -1 = all
        record Reset(long step, int partition) implements Action {}

        /// A request of a session, of its history and what is added; not where it has one already.
        ///
        /// @param added     at least one token
        /// @param keptShare of the answer, from its beginning; 0 = nothing of the turn is kept
        record Turn(long step, int session, int[] added, int maxTokens, SamplingParams sampling, double keptShare) implements Action {
            @Override
            public String toString() {
                return "Turn[step=" + step + ", session=" + session + ", added " + added.length + ", max " + maxTokens + ", kept " + keptShare
                        + ", " + sampling + "]";
            }
        }

        /// A session goes on as two; whatever the second was before is dropped.
        record Fork(long step, int session, int to) implements Action {}

        /// A session begins anew.
        record Forget(long step, int session) implements Action {}
    }

    /// How large a trace is.
    ///
    /// @param maxRequests    requests at most
    /// @param maxTokens      answers are mostly shorter than this
    /// @param longestTokens  prompt and answer of a request at most, if the pool has room for them
    /// @param poisonToken    token that stands in some prompts and makes the model compute NaN; -1 = none
    public record Size(int maxRequests, int maxTokens, int longestTokens, int poisonToken) {}

    /// Draws a trace for a backend of this shape.
    ///
    /// @param sessions whether it can have sessions, whose requests are as if nothing of them had been computed before: a host area,
    ///                 and decode steps that leave the same bits as scans
    public static Trace draw(long seed, Size size, FrameShape frames, int vocabSize, boolean sessions) {
        Random random = new Random(seed);
        int maxSequences = 1 + random.nextInt(6);
        int longest = Math.min(size.longestTokens(), (int) frames.mostTokens() + 1);
        var limits = new EngineLimits(maxSequences, BLOCK * (1 + random.nextInt(4)) + maxSequences, 4096, 10_000_000, longest);
        int count = 1 + random.nextInt(size.maxRequests());
        List<GenerationRequest> requests = new ArrayList<>();
        List<Action> actions = new ArrayList<>();
        int mostStepsToCancel = Math.max(30, size.maxTokens());
        long step = 0;
        for (int i = 0; i < count; i++) {
            // Mostly bursts, sometimes a pause long enough for everything to end.
            step += switch (random.nextInt(4)) {
                case 0, 1 -> 0;
                case 2 -> random.nextInt(5);
                default -> random.nextInt(60);
            };
            GenerationRequest request = request(i, random, size, longest, vocabSize);
            requests.add(request);
            actions.add(new Action.Arrive(step, i));
            if (random.nextInt(4) == 0) {
                actions.add(new Action.Stall(step, i, step + random.nextInt(700)));
            }
            if (random.nextInt(4) == 0) {
                actions.add(new Action.Cancel(step + random.nextInt(mostStepsToCancel), i));
            } else if (random.nextInt(6) == 0) {
                actions.add(new Action.CancelChoice(step + random.nextInt(mostStepsToCancel), i, random.nextInt(request.choices())));
            }
        }
        // Drawn apart, so that a trace has the same requests whatever else happens in it.
        Random more = new Random(~seed);
        addResets(actions, more, step);
        if (sessions) {
            addSessions(actions, more, step, size, longest, vocabSize);
        }
        actions.sort((a, b) -> Long.compare(a.step(), b.step()));
        return new Trace(seed, limits, List.copyOf(requests), List.copyOf(actions));
    }

    private static void addResets(List<Action> actions, Random random, long lastStep) {
        for (int i = random.nextInt(4); i > 0; i--) {
            actions.add(new Action.Reset(random.nextLong(lastStep + 50), random.nextInt(3) - 1));
        }
    }

    /// Few sessions with many turns, so that they are long, and forks of them go on side by side.
    private static void addSessions(List<Action> actions, Random random, long lastStep, Size size, int longest, int vocabSize) {
        int sessions = 2 + random.nextInt(4);
        long step = 0;
        for (int i = random.nextInt(size.maxRequests() + 1); i > 0; i--) {
            int session = random.nextInt(sessions);
            step += random.nextInt(3) == 0 ? random.nextInt(60) : random.nextInt(4);
            int kind = random.nextInt(10);
            if (kind < 2) {
                actions.add(new Action.Fork(step, session, (session + 1) % sessions));
            } else if (kind == 2) {
                actions.add(new Action.Forget(step, session));
            } else {
                int[] lengths = {1, 2, 30, BLOCK - 1, BLOCK, BLOCK + 1};
                int length = Math.min(lengths[random.nextInt(lengths.length)], longest);
                int[] added = random.ints(length, 0, vocabSize).map(token -> token == size.poisonToken() ? 0 : token).toArray();
                double keptShare = random.nextInt(4) > 0 ? 1 : random.nextInt(3) * 0.5;
                actions.add(new Action.Turn(step, session, added, 1 + random.nextInt(size.maxTokens()),
                        sampling(random, vocabSize, size.poisonToken()), keptShare));
            }
        }
    }

    private static GenerationRequest request(int i, Random random, Size size, int longest, int vocabSize) {
        int[] lengths = {1, 2, 5, 20, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK - 1, 2 * BLOCK, 2 * BLOCK + 1, 3 * BLOCK, longest - 1, longest};
        int length = Math.clamp(lengths[random.nextInt(lengths.length)], 1, longest);
        int answer = random.nextInt(10) == 0 ? longest - length : random.nextInt(size.maxTokens());
        int maxTokens = Math.min(answer, longest - length);
        int[] prompt = new int[length];
        // Few different beginnings, so that many prompts share one and differ somewhere.
        Random beginning = new Random(random.nextInt(3));
        int common = random.nextInt(length + 1);
        for (int p = 0; p < length; p++) {
            int token = (p < common ? beginning : random).nextInt(vocabSize);
            prompt[p] = token == size.poisonToken() ? 0 : token;
        }
        if (size.poisonToken() >= 0 && random.nextInt(12) == 0) {
            prompt[random.nextInt(length)] = size.poisonToken();
        }
        Set<Integer> stops = random.nextInt(3) == 0 ? Set.of() : Set.of(random.nextInt(vocabSize));
        // Where answers are to be long, few may end early.
        stops = size.maxTokens() > MOSTLY_STOPPED_TOKENS && random.nextInt(4) > 0 ? Set.of() : stops;
        int choices = random.nextInt(4) == 0 ? 1 + random.nextInt(3) : 1;
        int promptLogprobs = random.nextInt(8) == 0 ? random.nextInt(3) : -1;
        var request = new GenerationRequest("r" + i, prompt, maxTokens, random.nextInt(3) == 0 ? random.nextInt(20) : 0, stops, choices,
                promptLogprobs, sampling(random, vocabSize, size.poisonToken()), guides(random, vocabSize));
        request = random.nextInt(3) == 0 ? request.withUrgency(random.nextInt(3) - 1, random.nextBoolean() ? "a" : "b") : request;
        return promptLogprobs >= 0 || random.nextInt(4) == 0 ? request : withPrefixes(request, random);
    }

    /// Two partitions, so that prompts with the same beginning meet within one and not across.
    private static GenerationRequest withPrefixes(GenerationRequest request, Random random) {
        List<Mark> marks = new ArrayList<>();
        int position = 0;
        while (random.nextInt(4) > 0 && position < request.prompt().length) {
            position += 1 + random.nextInt(request.prompt().length - position);
            marks.add(new Mark(position, CheckpointPoint.values()[random.nextInt(CheckpointPoint.values().length)]));
        }
        GenerationRequest reusing = request.withPrefixes(new Partition(0, random.nextInt(2)), marks, random.nextBoolean());
        return random.nextBoolean() ? reusing.keepingAnswer() : reusing;
    }

    private static Optional<Supplier<TokenGuide>> guides(Random random, int vocabSize) {
        if (random.nextInt(3) > 0) {
            return Optional.empty();
        }
        int kind = random.nextInt(30);
        return Optional.of(() -> new PatternGuide(vocabSize, kind));
    }

    private static SamplingParams sampling(Random random, int vocabSize, int poisonToken) {
        boolean greedy = random.nextInt(3) == 0;
        // The model may choose the poison itself: ban it, so that only prompts have it.
        Map<Integer, Float> bias = poisonToken >= 0 ? Map.of(poisonToken, -100f)
                : random.nextInt(6) == 0 ? Map.of(random.nextInt(vocabSize), (float) random.nextInt(10)) : Map.of();
        List<Integer> allowed = random.nextInt(10) == 0 ? List.of(1, vocabSize / 2, vocabSize - 1) : List.of();
        List<int[]> badWords = random.nextInt(10) == 0 ? List.of(new int[] {3}, new int[] {1, 2}) : List.of();
        return new SamplingParams(greedy ? 0 : 0.2 + random.nextDouble(), random.nextInt(3) == 0 ? 1 + random.nextInt(20) : 0,
                random.nextInt(3) == 0 ? random.nextDouble() : 1, random.nextInt(5) == 0 ? random.nextDouble() * 0.3 : 0,
                random.nextInt(5) == 0 ? 1.3 : 1, random.nextInt(5) == 0 ? 0.5 : 0, random.nextInt(5) == 0 ? 0.3 : 0, bias, allowed,
                badWords, random.nextLong(), random.nextInt(3) == 0 ? random.nextInt(4) : -1);
    }

    /// What a person needs to see of it.
    @Override
    public String toString() {
        var text = new StringBuilder("trace of seed " + seed + ", " + limits + "\n");
        for (Action action : actions) {
            text.append("  ").append(action);
            if (action instanceof Action.Arrive arrive) {
                GenerationRequest request = requests.get(arrive.request());
                text.append(" prompt ").append(request.prompt().length).append(", max ").append(request.maxTokens()).append(", min ")
                        .append(request.minTokens()).append(", n ").append(request.choices()).append(", prompt logprobs ")
                        .append(request.promptLogprobs()).append(", ").append(request.partition()).append(request.marks())
                        .append(request.keepsAnswer() ? " and its answer, " : ", ").append(request.sampling());
            }
            text.append('\n');
        }
        return text.toString();
    }
}
