package dev.sidewinder.server.ops;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.model.Model;
import dev.sidewinder.server.api.RequestReader;
import dev.sidewinder.server.metrics.EngineMetrics;
import java.util.List;

/// A loaded model and what it takes to serve it.
///
/// @param names          under which it is served, the first of which answers carry by default
/// @param plan           the memory of its caches
/// @param created        seconds since 1970
/// @param revision       changes with build, weights or number format: `system_fingerprint`
/// @param backend        what computes, in one line
public record ServedModel(Model model, Engine engine, EngineMetrics metrics, RequestReader reader, List<String> names,
        CachePlan plan, long created, String revision, String backend) {
    public ServedModel {
        names = List.copyOf(names);
    }

    /// Prompt and answer of one sequence at most.
    public int maxModelTokens() {
        return plan.maxModelTokens();
    }

    public boolean isCalled(String name) {
        return names.contains(name);
    }
}
