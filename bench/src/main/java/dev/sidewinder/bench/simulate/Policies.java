package dev.sidewinder.bench.simulate;

import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;

/// The policies that can be played, each with one thing more than the one before.
final class Policies {

    static final List<Policy> ALL = List.of(
            new Policy("fcfs", false, false, false, false),
            new Policy("reuse", true, false, false, false),
            new Policy("suspend", true, true, false, false),
            new Policy("turns", true, true, true, false),
            new Policy("gap", true, true, true, true));

    private Policies() {}

    /// @param names none = the last policy, with all that there is
    static List<Policy> named(List<String> names) {
        if (names.isEmpty()) {
            return List.of(ALL.getLast());
        }
        List<Policy> chosen = new ArrayList<>();
        for (String name : names) {
            chosen.add(ALL.stream().filter(each -> each.name().equals(name)).findFirst().orElseThrow(() -> new IllegalArgumentException(
                    "no policy \"" + name + "\" is known; known are " + ALL.stream().map(Policy::name).toList())));
        }
        return chosen;
    }

    /// For the command's help.
    static final class Names implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            return ALL.stream().map(Policy::name).iterator();
        }
    }
}
