package dev.sidewinder.engine;

import dev.sidewinder.engine.Trace.Action;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.scheduler.Mark;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.TreeMap;
import java.util.TreeSet;
import java.util.stream.Collectors;

/// Prints traces as Java: an expression that makes the same trace, for a test of its own.
final class TraceCode {

    /// What a test that holds a printed trace imports besides what it has from this package.
    static final List<Class<?>> IMPORTS = List.of(dev.sidewinder.kvcache.CheckpointPoint.class, FrameShape.class, HostShape.class,
            Mark.class, Duration.class, List.class, Map.class, java.util.Set.class);

    private TraceCode() {}

    static String of(Trace trace) {
        return "new Trace(" + trace.seed() + "L, " + of(trace.limits()) + ", " + trace.vocabSize() + ", " + trace.poisonToken() + ", List.of("
                + trace.actions().stream().map(action -> "\n        " + of(action)).collect(Collectors.joining(",")) + "))";
    }

    /// Makes a fake backend with the same memory.
    static String of(BackendMemory memory) {
        FrameShape frames = memory.frames();
        HostShape host = memory.host();
        return "new BackendMemory(new FrameShape(" + frames.frames() + ", " + frames.blocksPerFrame() + "), new HostShape(" + host.states() + ", "
                + host.blocks() + "))";
    }

    private static String of(EngineLimits limits) {
        return "new EngineLimits(" + limits.maxSequences() + ", " + limits.maxBatchTokens() + ", " + limits.maxQueuedRequests() + ", "
                + limits.maxQueuedTokens() + "L, " + limits.maxModelTokens() + ", " + of(limits.timeouts()) + ", " + of(limits.tokenGap()) + ")";
    }

    private static String of(Timeouts timeouts) {
        return timeouts.equals(Timeouts.DEFAULT) ? "Timeouts.DEFAULT" : "new Timeouts(" + of(timeouts.queueWait()) + ", "
                + of(timeouts.firstToken()) + ", " + of(timeouts.total()) + ", " + of(timeouts.readerStall()) + ")";
    }

    private static String of(Duration duration) {
        return "Duration.ofMillis(" + duration.toMillis() + ")";
    }

    private static String of(Action action) {
        String name = "new Trace.Action." + action.getClass().getSimpleName() + "(" + action.step();
        return name + switch (action) {
            case Action.Arrive arrive -> ", " + arrive.request() + ", " + of(arrive.what());
            case Action.FollowUp next -> ", " + next.request() + ", " + next.before() + ", " + of(next.what());
            case Action.Prepare prepare -> ", " + prepare.before() + ", " + of(prepare.behind());
            case Action.Retry retry -> ", " + retry.request();
            case Action.Burst burst -> ", " + burst.request() + ", " + burst.times();
            case Action.Cancel cancel -> ", " + cancel.request();
            case Action.CancelChoice cancel -> ", " + cancel.request() + ", " + cancel.choice();
            case Action.Stall stall -> ", " + stall.request() + ", " + stall.untilStep();
            case Action.Reset reset -> ", " + reset.partition();
            case Action.Turn turn -> ", " + turn.session() + ", " + of(turn.added()) + ", " + turn.maxTokens() + ", " + of(turn.sampling()) + ", "
                    + turn.keptShare();
            case Action.Fork fork -> ", " + fork.session() + ", " + fork.to();
            case Action.Forget forget -> ", " + forget.session();
            case Action.Pause pause -> ", " + pause.millis();
            case Action.Fault fault -> ", Trace.FaultKind." + fault.kind();
            case Action.Drain _, Action.Close _ -> "";
        } + ")";
    }

    private static String of(TracePrompt prompt) {
        return prompt.equals(TracePrompt.of(prompt.length(), prompt.seed())) ? "TracePrompt.of(" + prompt.length() + ", " + prompt.seed() + "L)"
                : "new TracePrompt(" + prompt.beginning() + ", " + prompt.common() + ", " + prompt.length() + ", " + prompt.seed() + "L, "
                        + prompt.poisonAt() + ")";
    }

    /// What is as in a plain request is left out.
    private static String of(TraceRequest request) {
        var code = new StringBuilder("TraceRequest.of(" + of(request.prompt()) + ", " + request.maxTokens() + ")");
        add(code, request.minTokens() > 0, "withMinTokens", request.minTokens());
        add(code, !request.stops().isEmpty(), "withStops", "Set.of(" + joined(new TreeSet<>(request.stops())) + ")");
        add(code, request.choices() > 1, "withChoices", request.choices());
        add(code, request.promptLogprobs() >= 0, "withPromptLogprobs", request.promptLogprobs());
        add(code, !isGreedy(request.sampling()), "withSampling", of(request.sampling()));
        add(code, request.guide() >= 0, "withGuide", request.guide());
        add(code, request.partition() >= 0, "withPrefixes", request.partition() + ", List.of(" + request.marks().stream()
                .map(mark -> "new Mark(" + mark.position() + ", CheckpointPoint." + mark.point() + ")").collect(Collectors.joining(", "))
                + "), " + request.explains());
        add(code, request.keepsAnswer(), "withAnswerKept", true);
        add(code, request.priority() != 0 || !request.tenant().isEmpty(), "withUrgency", request.priority() + ", \"" + request.tenant() + "\"");
        return code.toString();
    }

    private static void add(StringBuilder code, boolean wanted, String method, Object arguments) {
        if (wanted) {
            code.append('.').append(method).append('(').append(arguments).append(')');
        }
    }

    /// Records with arrays in them are not equal by content, so it is the text that tells.
    static boolean isGreedy(SamplingParams sampling) {
        return of(sampling).equals(GREEDY);
    }

    private static final String GREEDY = "SamplingParams.greedy()";

    private static String of(SamplingParams sampling) {
        SamplingParams plain = SamplingParams.greedy();
        String code = full(sampling);
        return code.equals(full(plain)) ? GREEDY : code;
    }

    private static String full(SamplingParams sampling) {
        String bias = new TreeMap<>(sampling.logitBias()).entrySet().stream().map(entry -> entry.getKey() + ", " + entry.getValue() + "f")
                .collect(Collectors.joining(", "));
        String badWords = sampling.badWords().stream().map(word -> "new int[] {" + joined(java.util.Arrays.stream(word).boxed().toList()) + "}")
                .collect(Collectors.joining(", "));
        return "new SamplingParams(" + sampling.temperature() + ", " + sampling.topK() + ", " + sampling.topP() + ", " + sampling.minP() + ", "
                + sampling.repetitionPenalty() + ", " + sampling.presencePenalty() + ", " + sampling.frequencyPenalty() + ", Map.of(" + bias
                + "), List.of(" + joined(sampling.allowedTokens()) + "), List.of(" + badWords + "), " + sampling.seed() + "L, "
                + sampling.logprobs() + ")";
    }

    private static String joined(Iterable<Integer> numbers) {
        var text = new StringBuilder();
        numbers.forEach(number -> text.append(text.isEmpty() ? "" : ", ").append(number));
        return text.toString();
    }
}
