package dev.sidewinder.bench.simulate;

import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// The conversations of a run, in the order of their arrival.
///
/// @param description for the report
record Traffic(String description, List<Conversation> conversations) {

    /// In which those come that come together.
    private static final double BURST_SECONDS = 10;

    Traffic {
        conversations = List.copyOf(conversations);
    }

    /// Conversations that begin independently of each other at constant rates (a Poisson process for each kind, of bursts for jobs).
    ///
    /// @param perSecond conversations that begin in a second, by kind
    static Traffic generate(Map<TrafficKind, Double> perSecond, double seconds, long seed) {
        List<Conversation> conversations = new ArrayList<>();
        var description = new StringBuilder("generated, seed " + seed);
        for (TrafficKind kind : TrafficKind.values()) {
            double rate = perSecond.getOrDefault(kind, 0.0);
            if (!(rate >= 0)) {
                throw new IllegalArgumentException("cannot begin " + rate + " conversations a second; the rate of "
                        + kind + " is 0 or more");
            }
            if (rate == 0) {
                continue;
            }
            description.append(String.format(Locale.ROOT, ", %s %.3g/s", kind.name().toLowerCase(Locale.ROOT), rate));
            var arrivals = new Draws(seed, "arrivals of " + kind);
            int number = 0;
            double bursts = rate / kind.together();
            for (double at = arrivals.gap(bursts); at < seconds; at += arrivals.gap(bursts)) {
                for (int i = 0; i < kind.together(); i++) {
                    conversations.add(kind.draw(seed, number++, at + i * BURST_SECONDS / kind.together()));
                }
            }
        }
        // a stable order: equal times keep the order of kinds
        conversations.sort(Comparator.comparingDouble(Conversation::arrivalSeconds));
        return new Traffic(description.toString(), conversations);
    }

    int requests() {
        return conversations.stream().mapToInt(each -> each.turns().size()).sum();
    }
}
