package dev.sidewinder.engine;

import dev.sidewinder.engine.Trace.Action;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;
import java.util.function.IntFunction;

/// What an action of a trace may be made into when the trace is made smaller: each with one thing less, or shorter. Going on like this
/// comes to an end.
final class SmallerActions {

    private SmallerActions() {}

    /// The most promising first.
    static List<Action> of(Action action) {
        List<Action> smaller = new ArrayList<>();
        switch (action) {
            case Action.Arrive(long step, int request, TraceRequest what) ->
                smaller(what).forEach(each -> smaller.add(new Action.Arrive(step, request, each)));
            case Action.FollowUp(long step, int request, int before, TraceRequest what) ->
                smaller(what).forEach(each -> smaller.add(new Action.FollowUp(step, request, before, each)));
            case Action.Prepare(long step, int before, TracePrompt behind) ->
                numbers(behind.length(), 1, less -> smaller.add(new Action.Prepare(step, before, behind.cutTo(less))));
            case Action.Burst(long step, int request, int times) ->
                numbers(times, 1, less -> smaller.add(new Action.Burst(step, request, less)));
            case Action.Stall(long step, int request, long until) ->
                numbers((int) (until - step), 0, less -> smaller.add(new Action.Stall(step, request, step + less)));
            case Action.Pause(long step, long millis) -> numbers((int) millis, 1, less -> smaller.add(new Action.Pause(step, less)));
            case Action.Turn turn -> addSmaller(turn, smaller);
            case Action.Retry _, Action.Cancel _, Action.CancelChoice _, Action.Reset _, Action.Fork _, Action.Forget _, Action.Fault _,
                    Action.Drain _, Action.Close _ -> { }
        }
        return smaller;
    }

    private static void addSmaller(Action.Turn turn, List<Action> smaller) {
        numbers(turn.added().length(), 1, less -> smaller.add(new Action.Turn(turn.step(), turn.session(), turn.added().cutTo(less),
                turn.maxTokens(), turn.sampling(), turn.keptShare())));
        numbers(turn.maxTokens(), 1, less -> smaller.add(new Action.Turn(turn.step(), turn.session(), turn.added(), less, turn.sampling(),
                turn.keptShare())));
        if (!TraceCode.isGreedy(turn.sampling())) {
            smaller.add(new Action.Turn(turn.step(), turn.session(), turn.added(), turn.maxTokens(), SamplingParams.greedy(), turn.keptShare()));
        }
        if (turn.keptShare() < 1) {
            smaller.add(new Action.Turn(turn.step(), turn.session(), turn.added(), turn.maxTokens(), turn.sampling(), 1));
        }
    }

    private static List<TraceRequest> smaller(TraceRequest request) {
        List<TraceRequest> smaller = new ArrayList<>();
        numbers(request.prompt().length(), 1, less -> smaller.add(request.withPrompt(request.prompt().cutTo(less))));
        numbers(request.maxTokens(), 0, less -> smaller.add(request.withMaxTokens(less)));
        numbers(request.choices(), 1, less -> smaller.add(request.withChoices(less)));
        if (request.promptLogprobs() >= 0) {
            smaller.add(request.withPromptLogprobs(-1));
        }
        if (request.guide() >= 0) {
            smaller.add(request.withGuide(-1));
        }
        if (!TraceCode.isGreedy(request.sampling())) {
            smaller.add(request.withSampling(SamplingParams.greedy()));
        }
        if (!request.stops().isEmpty()) {
            smaller.add(request.withStops(Set.of()));
        }
        if (request.minTokens() > 0) {
            smaller.add(request.withMinTokens(0));
        }
        if (request.priority() != 0 || !request.tenant().isEmpty()) {
            smaller.add(request.withUrgency(0, ""));
        }
        addWithLessOfTheCache(request, smaller);
        addPlainerPrompts(request, smaller);
        return smaller;
    }

    private static void addWithLessOfTheCache(TraceRequest request, List<TraceRequest> smaller) {
        if (request.partition() >= 0) {
            smaller.add(request.withPrefixes(-1, List.of(), false).withAnswerKept(false));
        }
        if (request.keepsAnswer()) {
            smaller.add(request.withAnswerKept(false));
        }
        if (!request.marks().isEmpty()) {
            smaller.add(request.withPrefixes(request.partition(), List.of(), request.explains()));
            smaller.add(request.withPrefixes(request.partition(), request.marks().subList(1, request.marks().size()), request.explains()));
        }
        if (request.explains()) {
            smaller.add(request.withPrefixes(request.partition(), request.marks(), false));
        }
    }

    private static void addPlainerPrompts(TraceRequest request, List<TraceRequest> smaller) {
        TracePrompt prompt = request.prompt();
        if (prompt.poisonAt() >= 0) {
            smaller.add(request.withPrompt(new TracePrompt(prompt.beginning(), prompt.common(), prompt.length(), prompt.seed(), -1)));
        }
        if (prompt.common() > 0 || prompt.beginning() > 0) {
            smaller.add(request.withPrompt(new TracePrompt(0, 0, prompt.length(), prompt.seed(), prompt.poisonAt())));
        }
    }

    /// Smaller numbers, none below the least: that, halves of the way to it, and one less.
    private static void numbers(int value, int least, IntFunction<?> each) {
        Set<Integer> numbers = new LinkedHashSet<>();
        for (int distance = value - least; distance > 0; distance /= 2) {
            numbers.add(value - distance);
        }
        numbers.forEach(each::apply);
    }

    /// The same at another step.
    static Action at(Action action, long step) {
        return switch (action) {
            case Action.Arrive arrive -> new Action.Arrive(step, arrive.request(), arrive.what());
            case Action.FollowUp next -> new Action.FollowUp(step, next.request(), next.before(), next.what());
            case Action.Prepare prepare -> new Action.Prepare(step, prepare.before(), prepare.behind());
            case Action.Retry retry -> new Action.Retry(step, retry.request());
            case Action.Burst burst -> new Action.Burst(step, burst.request(), burst.times());
            case Action.Cancel cancel -> new Action.Cancel(step, cancel.request());
            case Action.CancelChoice cancel -> new Action.CancelChoice(step, cancel.request(), cancel.choice());
            case Action.Stall stall -> new Action.Stall(step, stall.request(), step + stall.untilStep() - stall.step());
            case Action.Reset reset -> new Action.Reset(step, reset.partition());
            case Action.Turn turn -> new Action.Turn(step, turn.session(), turn.added(), turn.maxTokens(), turn.sampling(), turn.keptShare());
            case Action.Fork fork -> new Action.Fork(step, fork.session(), fork.to());
            case Action.Forget forget -> new Action.Forget(step, forget.session());
            case Action.Pause pause -> new Action.Pause(step, pause.millis());
            case Action.Fault fault -> new Action.Fault(step, fault.kind());
            case Action.Drain _ -> new Action.Drain(step);
            case Action.Close _ -> new Action.Close(step);
        };
    }
}
