package dev.sidewinder.server.eval;

import java.util.Optional;

/// Whether an answer is right.
///
/// @param problem   what is wrong with it; empty when it is right
/// @param validJson where JSON was asked for: whether it is JSON at all
public record Verdict(String problem, Optional<Boolean> validJson) {

    static final Verdict RIGHT = new Verdict("", Optional.empty());

    static Verdict wrong(String problem) {
        return new Verdict(problem, Optional.empty());
    }

    public boolean right() {
        return problem.isEmpty();
    }
}
