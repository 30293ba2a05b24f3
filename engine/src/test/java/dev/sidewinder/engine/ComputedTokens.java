package dev.sidewinder.engine;

import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;

/// Which tokens of which sequence a backend was given to compute: what the cache truly saved, whatever it says. Not thread-safe.
final class ComputedTokens {

    /// A sequence's way through its tokens.
    private static final class Course {
        private final int first;
        private int next;
        private int restarts;

        Course(int first) {
            this.first = first;
            this.next = first;
        }
    }

    private final Map<Long, Course> courses = new HashMap<>();

    /// @return sequences that take part for the first time, in the order of the batch
    List<Long> note(Batch batch) {
        List<Long> begun = new ArrayList<>();
        for (BatchEntry entry : batch.entries()) {
            if (!courses.containsKey(entry.sequence())) {
                begun.add(entry.sequence());
            }
            Course course = courses.computeIfAbsent(entry.sequence(), _ -> new Course(entry.from()));
            course.restarts += entry.from() == course.next ? 0 : 1;
            course.next = entry.from() + entry.count();
        }
        return begun;
    }

    /// How often a sequence did not go on where it had been.
    long restarts() {
        return courses.values().stream().mapToLong(course -> course.restarts).sum();
    }

    /// The difference between what was computed of a prompt and what should have been; empty when there is none.
    ///
    /// @param reused what the cache says it saved
    /// @param whole  whether all the rest has been computed
    String differenceFrom(long sequence, int prompt, int reused, boolean whole) {
        Course course = courses.get(sequence);
        if (course == null) {
            return "said to reuse " + reused + " tokens, and no step had any of it";
        }
        if (course.first != reused) {
            return "said to reuse " + reused + " tokens, and computed from token " + course.first + " on";
        }
        return whole && course.next < prompt ? "ended after token " + course.next + " of a prompt of " + prompt : "";
    }
}
