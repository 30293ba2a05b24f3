package dev.sidewinder.bench.simulate;

import java.util.Collections;
import java.util.EnumSet;
import java.util.Locale;
import java.util.Set;

/// What of the scheduler and the caches is used in a run. Without any part it is first come, first served: requests begin in the order in
/// which they came, one prompt after the other, each step has as many tokens as it may, every prompt is computed whole, and who is
/// admitted has memory for the longest answer and stays.
///
/// @param name  for reports
/// @param parts in use
record Policy(String name, Set<Part> parts) {

    /// What can be used by itself.
    enum Part {
        /// prompts go on from what was kept of earlier ones
        REUSE,
        /// pieces of short prompts go between those of long ones
        TURNS,
        /// pieces of prompts keep to the target for the gap between tokens
        GAP,
        /// tenants take turns; otherwise all requests are one tenant's
        FAIRNESS,
        /// priorities count; otherwise all requests are equally urgent
        PRIORITIES,
        /// there is a host area: sequences are admitted with less than they may need, and suspended for others
        SUSPENSION,
        /// what next turns are expected to begin with is computed where nobody waits; only with reuse
        PREPARATION;

        String word() {
            return name().toLowerCase(Locale.ROOT);
        }
    }

    Policy {
        parts = Collections.unmodifiableSet(parts.isEmpty() ? EnumSet.noneOf(Part.class) : EnumSet.copyOf(parts));
    }

    boolean uses(Part part) {
        return parts.contains(part);
    }
}
