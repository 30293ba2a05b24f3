package dev.sidewinder.server.ops;

import dev.sidewinder.engine.Engine;
import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.engine.session.Sessions;
import dev.sidewinder.model.Model;
import dev.sidewinder.server.api.Partitions;
import dev.sidewinder.server.api.RequestPlanner;
import dev.sidewinder.server.api.RequestReader;
import dev.sidewinder.server.api.ServedModel;
import dev.sidewinder.server.metrics.EngineMetrics;
import java.util.List;
import java.util.Optional;

/// A loaded model, the engine that runs it, and what turns requests into work for it.
///
/// @param served     what requests and answers need to know of the model
/// @param plan       the memory of its caches
/// @param partitions whose prefixes a request may use; empty where none is kept
/// @param sessions   empty where there is no room on the host for any
/// @param created    seconds since 1970
/// @param backend    what computes, in one line
/// @param planned    how it was chosen
public record RunningModel(Model model, ServedModel served, Engine engine, EngineMetrics metrics, RequestReader reader,
        RequestPlanner planner, Optional<Partitions> partitions, Optional<Sessions> sessions,
        MemoryPlan plan, long created, String backend,
        PlannedBackend planned) {

    /// Under which it is served; the first is the one answers carry by default.
    public List<String> names() {
        return served.names();
    }

    public boolean isCalled(String name) {
        return served.names().contains(name);
    }
}
