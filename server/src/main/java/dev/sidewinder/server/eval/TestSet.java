package dev.sidewinder.server.eval;

import java.util.ArrayList;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;

/// Cases to ask, in the order of their files.
public record TestSet(List<Source> sources, List<TestCase> cases) {

    /// @param file   as it was named
    /// @param sha256 of its bytes
    public record Source(String file, String sha256, int cases) {}

    public TestSet {
        sources = List.copyOf(sources);
        cases = List.copyOf(cases);
    }

    /// Names of the tasks, in the order of their first cases.
    public Set<String> tasks() {
        Set<String> tasks = new LinkedHashSet<>();
        cases.forEach(test -> tasks.add(test.task()));
        return tasks;
    }

    /// A part of this set.
    ///
    /// @param tasks those wanted; empty for all
    /// @param limit cases of each task at most
    /// @throws EvalException when there is no such task
    public TestSet only(Set<String> tasks, int limit) {
        for (String task : tasks) {
            if (!tasks().contains(task)) {
                throw new EvalException("the test set has no task \"" + task + "\"; it has "
                        + String.join(", ", tasks()));
            }
        }
        List<TestCase> kept = new ArrayList<>();
        Map<String, Integer> counts = new HashMap<>();
        for (TestCase test : cases) {
            if ((tasks.isEmpty() || tasks.contains(test.task())) && counts.merge(test.task(), 1, Integer::sum) <= limit) {
                kept.add(test);
            }
        }
        return new TestSet(sources, kept);
    }
}
