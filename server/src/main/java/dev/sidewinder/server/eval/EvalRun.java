package dev.sidewinder.server.eval;

import dev.sidewinder.server.auth.ClientKey;
import java.net.URI;
import java.time.Duration;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.Callable;
import java.util.concurrent.CompletionService;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.ExecutorCompletionService;
import java.util.concurrent.ExecutorService;
import java.util.concurrent.Executors;

/// One model's answers to a test set.
///
/// @param label      what to call it beside another run
/// @param arithmetic that its server was started with; empty for a server that ran already
/// @param results    one for each case, in the order of the set
public record EvalRun(String label, String arithmetic, ServerInfo server, Duration time, List<CaseResult> results) {

    /// Hears how far a run is, on the thread that runs it.
    @FunctionalInterface
    public interface Listener {
        void done(int cases, int right);
    }

    private record Numbered(int index, CaseResult result) {}

    public EvalRun {
        results = List.copyOf(results);
    }

    /// Asks a server every case and scores its answers.
    ///
    /// @param concurrency cases in flight at once
    /// @throws EvalException when the server is none, or fails on a case; the others are given up
    public static EvalRun of(String label, String arithmetic, URI server, TestSet set, int concurrency,
            Listener listener) throws InterruptedException {
        long began = System.nanoTime();
        try (var client = new EvalClient(server, key());
                ExecutorService threads = Executors.newFixedThreadPool(concurrency, Thread.ofVirtual().factory())) {
            try {
                List<CaseResult> results = ask(client, set.cases(), new ExecutorCompletionService<>(threads), listener);
                return new EvalRun(label, arithmetic, client.info(), Duration.ofNanos(System.nanoTime() - began), results);
            } finally {
                threads.shutdownNow();
            }
        }
    }

    private static ClientKey key() {
        try {
            return ClientKey.of(System.getenv());
        } catch (IllegalArgumentException wrong) {
            throw new EvalException(wrong.getMessage());
        }
    }

    private static List<CaseResult> ask(EvalClient client, List<TestCase> cases, CompletionService<Numbered> answers,
            Listener listener) throws InterruptedException {
        for (int i = 0; i < cases.size(); i++) {
            answers.submit(asking(client, i, cases.get(i)));
        }
        CaseResult[] results = new CaseResult[cases.size()];
        int right = 0;
        for (int done = 1; done <= results.length; done++) {
            Numbered next = take(answers);
            results[next.index()] = next.result();
            right += next.result() instanceof CaseResult.Scored scored && scored.verdict().right() ? 1 : 0;
            listener.done(done, right);
        }
        return Arrays.asList(results);
    }

    private static Callable<Numbered> asking(EvalClient client, int index, TestCase test) {
        return () -> new Numbered(index, switch (client.ask(test)) {
            case Outcome.Answered(Answer answer) ->
                    new CaseResult.Scored(test, answer, Scorer.score(test.expected(), answer));
            case Outcome.TooLong(String reason) -> new CaseResult.Skipped(test, reason);
        });
    }

    private static Numbered take(CompletionService<Numbered> answers) throws InterruptedException {
        try {
            return answers.take().get();
        } catch (ExecutionException e) {
            if (e.getCause() instanceof EvalException failure) {
                throw failure;
            }
            throw new IllegalStateException("asking a case failed", e.getCause());
        }
    }

    /// Those that were answered.
    List<CaseResult.Scored> scored() {
        return results.stream().filter(CaseResult.Scored.class::isInstance).map(CaseResult.Scored.class::cast).toList();
    }

    /// Those that did not fit.
    List<CaseResult.Skipped> skipped() {
        return results.stream().filter(CaseResult.Skipped.class::isInstance).map(CaseResult.Skipped.class::cast).toList();
    }
}
