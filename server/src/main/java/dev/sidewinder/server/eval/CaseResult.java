package dev.sidewinder.server.eval;

/// What came of one case.
public sealed interface CaseResult {

    TestCase test();

    record Scored(TestCase test, Answer answer, Verdict verdict) implements CaseResult {}

    /// Not asked to the end, because it does not fit into the server.
    record Skipped(TestCase test, String reason) implements CaseResult {}
}
