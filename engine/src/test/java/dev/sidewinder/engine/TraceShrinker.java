package dev.sidewinder.engine;

import dev.sidewinder.engine.Trace.Action;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Function;
import java.util.stream.IntStream;

/// Makes a failing trace smaller as long as it fails: first whole requests and sessions go, then single actions, then lengths and
/// options ([SmallerActions]), and so on until nothing more can go, or the time for it has. Any failure will do: what remains may fail
/// in another way than the whole did, and says how.
///
/// Source of dropping ever smaller parts: Zeller and Hildebrandt 2002, "Simplifying and Isolating Failure-Inducing Input", the algorithm ddmin.
final class TraceShrinker {

    /// What remains.
    ///
    /// @param failure of the trace as it is now
    /// @param plays   that it took
    record Shrunk(Trace trace, Throwable failure, int plays) {}

    private final Function<Trace, Throwable> play;
    private final int mostPlays;
    private final long mostNanos;
    private long startNanos;
    private Trace smallest;
    private Throwable failure;
    private int plays;

    /// @param play      gives the failure of a trace, null when it has none
    /// @param mostPlays after which whatever remains is the answer
    /// @param most      time, the same
    TraceShrinker(Function<Trace, Throwable> play, int mostPlays, Duration most) {
        this.play = play;
        this.mostPlays = mostPlays;
        this.mostNanos = most.toNanos();
    }

    /// @param first of the trace
    Shrunk shrink(Trace failing, Throwable first) {
        smallest = failing;
        failure = first;
        startNanos = System.nanoTime();
        Trace before;
        do {
            before = smallest;
            drop(clients());
            drop(IntStream.range(0, smallest.actions().size()).mapToObj(List::of).toList());
            simplifyActions();
            closeGaps();
            simplifyLimits();
        } while (smallest != before && goesOn());
        return new Shrunk(smallest, failure, plays);
    }

    private boolean goesOn() {
        return plays < mostPlays && System.nanoTime() - startNanos < mostNanos;
    }

    /// @return whether the candidate fails, too: then it is the smallest so far
    private boolean take(Trace candidate) {
        if (!goesOn()) {
            return false;
        }
        plays++;
        Throwable found = play.apply(candidate);
        if (found == null) {
            return false;
        }
        smallest = candidate;
        failure = found;
        return true;
    }

    /// The places of the actions that go together.
    private List<List<Integer>> clients() {
        Map<Object, List<Integer>> places = new LinkedHashMap<>();
        for (int i = 0; i < smallest.actions().size(); i++) {
            places.computeIfAbsent(clientOf(smallest.actions().get(i), i), _ -> new ArrayList<>()).add(i);
        }
        return List.copyOf(places.values());
    }

    /// One request or session with all that happens to it; what happens to nobody by itself.
    private static Object clientOf(Action action, int place) {
        return switch (action) {
            case Action.Arrive arrive -> "request " + arrive.request();
            case Action.FollowUp next -> "request " + next.request();
            case Action.Prepare prepare -> "request " + prepare.before();
            case Action.Retry retry -> "request " + retry.request();
            case Action.Burst burst -> "request " + burst.request();
            case Action.Cancel cancel -> "request " + cancel.request();
            case Action.CancelChoice cancel -> "request " + cancel.request();
            case Action.Stall stall -> "request " + stall.request();
            case Action.Turn turn -> "session " + turn.session();
            case Action.Forget forget -> "session " + forget.session();
            case Action.Fork fork -> "session " + fork.to();
            case Action.Reset _, Action.Pause _, Action.Fault _, Action.Drain _, Action.Close _ -> place;
        };
    }

    /// Drops half of the groups, then quarters, down to single ones.
    ///
    /// @param groups of places of actions
    private void drop(List<List<Integer>> groups) {
        List<Action> actions = smallest.actions();
        List<List<Integer>> kept = groups;
        for (int size = Math.ceilDiv(groups.size(), 2); size > 0; size = size == 1 ? 0 : Math.ceilDiv(size, 2)) {
            int from = 0;
            while (from < kept.size()) {
                List<List<Integer>> rest = new ArrayList<>(kept);
                rest.subList(from, Math.min(from + size, kept.size())).clear();
                List<Action> left = rest.stream().flatMap(List::stream).sorted().map(actions::get).toList();
                if (take(smallest.with(left))) {
                    kept = rest;
                } else {
                    from += size;
                }
            }
        }
    }

    private void simplifyActions() {
        for (int place = 0; place < smallest.actions().size(); place++) {
            boolean smaller = true;
            while (smaller) {
                smaller = false;
                for (Action candidate : SmallerActions.of(smallest.actions().get(place))) {
                    List<Action> actions = new ArrayList<>(smallest.actions());
                    actions.set(place, candidate);
                    if (take(smallest.with(actions))) {
                        smaller = true;
                        break;
                    }
                }
            }
        }
    }

    /// Lets everything behind a gap happen earlier.
    private void closeGaps() {
        for (int place = 0; place < smallest.actions().size(); place++) {
            long before = place == 0 ? 0 : smallest.actions().get(place - 1).step();
            long gap = smallest.actions().get(place).step() - before;
            for (long earlier = gap; earlier > 0; earlier /= 2) {
                if (take(smallest.with(earlier(place, earlier)))) {
                    gap -= earlier;
                    earlier = 2 * gap;
                }
            }
        }
    }

    private List<Action> earlier(int place, long steps) {
        List<Action> actions = new ArrayList<>(smallest.actions());
        for (int i = place; i < actions.size(); i++) {
            actions.set(i, SmallerActions.at(actions.get(i), actions.get(i).step() - steps));
        }
        return actions;
    }

    private void simplifyLimits() {
        EngineLimits limits = smallest.limits();
        var plain = new EngineLimits(limits.maxSequences(), limits.maxBatchTokens(), 4096, 10_000_000, limits.maxModelTokens());
        if (!plain.equals(limits)) {
            take(smallest.with(plain));
        }
        limits = smallest.limits();
        for (int sequences = 1; sequences < limits.maxSequences(); sequences++) {
            int batchTokens = limits.maxBatchTokens() - limits.maxSequences() + sequences;
            if (take(smallest.with(new EngineLimits(sequences, batchTokens, limits.maxQueuedRequests(), limits.maxQueuedTokens(),
                    limits.maxModelTokens(), limits.timeouts(), limits.tokenGap())))) {
                return;
            }
        }
    }
}
