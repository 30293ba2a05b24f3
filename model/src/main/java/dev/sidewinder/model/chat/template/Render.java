package dev.sidewinder.model.chat.template;

import java.time.Clock;

/// The state of one rendering that every operation may need. For one thread.
final class Render {
    private final Budget budget = new Budget();
    private final Clock clock;
    private int line = 1;

    Render(Clock clock) {
        this.clock = clock;
    }

    Budget budget() {
        return budget;
    }

    Clock clock() {
        return clock;
    }

    /// The line of the operation under way, for messages.
    int line() {
        return line;
    }

    void at(int line) {
        this.line = line;
    }

    /// The characters of a text an operation is about to walk through, charged.
    String read(Text text) {
        budget.work(text.length());
        return text.string();
    }
}
