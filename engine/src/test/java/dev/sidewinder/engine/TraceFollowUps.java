package dev.sidewinder.engine;

import dev.sidewinder.scheduler.Mark;
import dev.sidewinder.scheduler.Preparation;
import java.util.Arrays;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;

/// The requests of a trace that go on from answers, as conversations do: their prompts are known only when the trace is played.
final class TraceFollowUps {

    /// Where in a prompt an earlier answer stands.
    private record Answer(int from, int to) {}

    private final Trace trace;
    private final Map<GenerationRequest, Answer> answers = new IdentityHashMap<>();

    TraceFollowUps(Trace trace) {
        this.trace = trace;
    }

    /// The next turn: what the earlier request began with, what has come of its first choice so far, and the tokens of its own, as far as
    /// there is room for one more token. Its marks are counted from its own tokens on.
    GenerationRequest request(Trace.Action.FollowUp next, TracePlayer.Played before) {
        int[] earlier = before.request().prompt();
        int[] answer = before.outcome().ids(0);
        int[] own = next.what().prompt().tokens(trace.vocabSize(), trace.poisonToken());
        int most = trace.limits().maxModelTokens();
        int begins = earlier.length + answer.length;
        int length = Math.min(begins + own.length, most);
        int[] prompt = joined(earlier, answer, own);
        List<Mark> marks = next.what().marks().stream().map(mark -> new Mark(begins + mark.position(), mark.point()))
                .filter(mark -> mark.position() <= length).toList();
        TraceRequest what = next.what().withMaxTokens(Math.min(next.what().maxTokens(), most - length))
                .withPrefixes(next.what().partition(), marks, next.what().explains());
        GenerationRequest request = what.toRequest("r" + next.request(), Arrays.copyOf(prompt, length), trace.vocabSize(), trace.poisonToken());
        answers.put(request, new Answer(earlier.length, begins));
        return request;
    }

    /// What such a request would begin with, where the earlier one keeps anything.
    Optional<Preparation> preparation(Trace.Action.Prepare prepare, TracePlayer.Played before) {
        int[] own = prepare.behind().tokens(trace.vocabSize(), trace.poisonToken());
        int[] tokens = joined(before.request().prompt(), before.outcome().ids(0), own);
        return before.request().partition().map(partition -> new Preparation(partition, tokens, 1));
    }

    private static int[] joined(int[]... parts) {
        return Arrays.stream(parts).flatMapToInt(Arrays::stream).toArray();
    }

    boolean isOne(GenerationRequest request) {
        return answers.containsKey(request);
    }

    /// Whether so many reused tokens end in the midst of an answer, or with it: a state that was left while it was generated.
    boolean endInAnswer(GenerationRequest request, int reusedTokens) {
        Answer answer = answers.get(request);
        return answer != null && reusedTokens > answer.from() && reusedTokens <= answer.to();
    }
}
