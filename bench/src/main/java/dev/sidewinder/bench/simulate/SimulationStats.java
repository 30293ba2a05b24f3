package dev.sidewinder.bench.simulate;

import dev.sidewinder.kvcache.CacheUse;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.PreparationCounts;
import java.util.ArrayList;
import java.util.List;
import java.util.TreeMap;

/// Counts what happens in a run. Requests count when they came after the warm-up; rates are of the time behind it.
final class SimulationStats {

    private final Simulation.Span span;
    private final Timeline timeline;
    private final GroupStats all = new GroupStats("all");
    private final TreeMap<String, GroupStats> kinds = new TreeMap<>();
    private final TreeMap<String, GroupStats> tenants = new TreeMap<>();

    private long accepted;
    private long finished;
    private long steps;
    private double generatedMicros;
    private double promptMicros;
    private double mixedMicros;
    private double copyMicros;
    private long suspensions;
    private long generatedInWindow;
    private long computedInWindow;
    private long reusedInWindow;

    SimulationStats(Simulation.Span span) {
        this.span = span;
        timeline = new Timeline(Math.round(span.pieceSeconds() * 1e9));
    }

    Timeline timeline() {
        return timeline;
    }

    void accepted(SimulatedRequest request) {
        accepted++;
    }

    void refused(SimulatedRequest request) {
        if (counts(request)) {
            for (GroupStats group : groups(request)) {
                group.refused++;
            }
        }
    }

    /// A request has memory.
    void begun(SimulatedRequest request, long nowNanos) {
        timeline.reused(request.reusedTokens());
        reusedInWindow += inWindow(nowNanos) ? request.reusedTokens() : 0;
    }

    void step(Batch batch, StepTime time) {
        steps++;
        for (HostCopy copy : batch.memory().outs()) {
            suspensions += copy.kind() == HostCopy.Kind.STATE ? 1 : 0;
        }
        generatedMicros += time.generatedMicros();
        promptMicros += time.promptMicros();
        mixedMicros += time.mixedMicros();
        copyMicros += time.copyMicros();
    }

    void computedPrompt(int tokens, long nowNanos) {
        timeline.prompt(tokens);
        computedInWindow += inWindow(nowNanos) ? tokens : 0;
    }

    /// A token reaches its client.
    void token(SimulatedRequest request, long nowNanos) {
        long gap = request.token(nowNanos);
        generatedInWindow += inWindow(nowNanos) ? 1 : 0;
        if (gap < 0) {
            timeline.firstToken((nowNanos - request.arrivalNanos()) / 1e9);
            return;
        }
        double seconds = gap / 1e9;
        timeline.token(seconds);
        if (counts(request)) {
            all.gapSeconds.add(seconds);
            kind(request).gapSeconds.add(seconds);
        }
    }

    void finished(SimulatedRequest request, long nowNanos) {
        finished++;
        if (counts(request)) {
            for (GroupStats group : groups(request)) {
                group.finished(request, nowNanos);
            }
        }
    }

    SimulationResult result(Policy policy, CacheUse use, long lateCompletions, PreparationCounts preparations, long endNanos) {
        if (accepted != finished) {
            throw new IllegalStateException(accepted + " requests were accepted and " + finished + " finished");
        }
        double window = span.seconds() - span.warmUpSeconds();
        List<GroupStats> groups = new ArrayList<>();
        groups.add(all);
        groups.addAll(kinds.values());
        var work = new SimulationResult.Work(steps, generatedMicros / 1e6, promptMicros / 1e6, mixedMicros / 1e6, copyMicros / 1e6,
                suspensions, lateCompletions, preparations);
        var rates = new SimulationResult.Rates(generatedInWindow / window, computedInWindow / window, reusedInWindow / window);
        return new SimulationResult(policy, groups, List.copyOf(tenants.values()), rates, work, use, timeline.points(), endNanos / 1e9);
    }

    private List<GroupStats> groups(SimulatedRequest request) {
        Conversation conversation = request.run().conversation();
        return List.of(all, kind(request), tenants.computeIfAbsent(conversation.tenant(), GroupStats::new));
    }

    private GroupStats kind(SimulatedRequest request) {
        return kinds.computeIfAbsent(request.run().conversation().kind(), GroupStats::new);
    }

    private boolean counts(SimulatedRequest request) {
        return request.arrivalNanos() >= span.warmUpSeconds() * 1e9;
    }

    private boolean inWindow(long nowNanos) {
        return nowNanos >= span.warmUpSeconds() * 1e9 && nowNanos < span.seconds() * 1e9;
    }
}
