package dev.sidewinder.engine;

import java.util.stream.Collectors;

/// A trace failed. The message has the seed and what remains of the trace, as a test to be pasted.
final class ShrunkTraceError extends AssertionError {

    private final transient Trace shrunk;
    private final String code;

    /// @param backend as Java, where it can say so
    ShrunkTraceError(Trace trace, TraceShrinker.Shrunk shrunk, String backend) {
        super("trace of seed " + trace.seed() + " failed; " + shrunk.trace().actions().size() + " of its " + trace.actions().size()
                + " actions remain after " + shrunk.plays() + " plays, and fail with: " + shrunk.failure().getMessage() + "\n\n"
                + code(trace, shrunk, backend) + "\n", shrunk.failure());
        this.shrunk = shrunk.trace();
        this.code = code(trace, shrunk, backend);
    }

    private static String code(Trace trace, TraceShrinker.Shrunk shrunk, String backend) {
        boolean java = backend.startsWith("new ");
        String imports = TraceCode.IMPORTS.stream().map(Class::getName).sorted().collect(Collectors.joining(", "));
        return (java ? "" : "// on the backend: " + backend + "\n")
                + "// imports, as far as needed: " + imports + "\n"
                + "@Test\n"
                + "void playsATraceThatFailedOnce() throws InterruptedException {\n"
                + "    // shrunk from seed " + trace.seed() + "\n"
                + "    var trace = " + shrunk.trace().toString().replace("\n", "\n    ") + ";\n"
                + "    new TraceHarness(() -> " + (java ? backend : "backend()") + ").play(trace);\n"
                + "}";
    }

    /// What remains.
    Trace shrunk() {
        return shrunk;
    }

    /// A test method that fails as it does.
    String code() {
        return code;
    }
}
