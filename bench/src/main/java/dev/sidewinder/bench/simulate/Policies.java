package dev.sidewinder.bench.simulate;

import dev.sidewinder.bench.simulate.Policy.Part;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.Iterator;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// The policies that can be played, by name: `fcfs` and what is added to it (`fcfs+reuse+gap`), or `all` and what is left out
/// (`all-suspension`).
final class Policies {

    static final Policy FCFS = named("fcfs");
    static final Policy ALL = named("all");

    /// First come first served, each part alone with it, and all.
    static final List<Policy> COMPARED = compared("fcfs", "fcfs+");
    /// All, and all but each part.
    static final List<Policy> ABLATED = compared("all", "all-");

    private Policies() {}

    private static List<Policy> compared(String first, String prefix) {
        List<Policy> policies = new ArrayList<>(List.of(named(first)));
        for (Part part : Part.values()) {
            // Without reuse there is nothing to prepare for.
            boolean alone = !prefix.equals("fcfs+") || part != Part.PREPARATION;
            policies.add(named(prefix + (alone ? "" : Part.REUSE.word() + "+") + part.word()));
        }
        if (first.equals("fcfs")) {
            policies.add(named("all"));
        }
        return List.copyOf(policies);
    }

    /// @param names none = all that there is
    static List<Policy> named(List<String> names) {
        return names.isEmpty() ? List.of(ALL) : names.stream().map(Policies::named).toList();
    }

    /// @throws IllegalArgumentException for a name that is none
    static Policy named(String name) {
        if (name.equals("fcfs") || name.startsWith("fcfs+")) {
            Set<Part> parts = EnumSet.noneOf(Part.class);
            parts.addAll(parts(name, "fcfs", "\\+"));
            return new Policy(name, parts);
        }
        if (name.equals("all") || name.startsWith("all-")) {
            Set<Part> parts = EnumSet.allOf(Part.class);
            parts.removeAll(parts(name, "all", "-"));
            return new Policy(name, parts);
        }
        throw unknown(name);
    }

    private static List<Part> parts(String name, String base, String separator) {
        if (name.equals(base)) {
            return List.of();
        }
        return Arrays.stream(name.substring(base.length() + 1).split(separator, -1))
                .map(word -> part(word).orElseThrow(() -> unknown(name))).toList();
    }

    private static Optional<Part> part(String word) {
        return Arrays.stream(Part.values()).filter(part -> part.word().equals(word)).findFirst();
    }

    private static IllegalArgumentException unknown(String name) {
        return new IllegalArgumentException("no policy \"" + name + "\" is known; known are fcfs, fcfs+PART+PART…, all and all-PART-PART…, with the parts "
                + Arrays.stream(Part.values()).map(Part::word).toList());
    }

    /// For the command's help.
    static final class Names implements Iterable<String> {
        @Override
        public Iterator<String> iterator() {
            List<String> names = new ArrayList<>(List.of("fcfs"));
            Arrays.stream(Part.values()).forEach(part -> names.add("fcfs+" + part.word()));
            names.add("all");
            return names.iterator();
        }
    }
}
