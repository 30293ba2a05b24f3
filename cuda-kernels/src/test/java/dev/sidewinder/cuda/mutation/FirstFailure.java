package dev.sidewinder.cuda.mutation;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.platform.engine.discovery.DiscoverySelectors.selectClass;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.util.Arrays;
import java.util.List;
import org.junit.platform.engine.CancellationToken;
import org.junit.platform.engine.TestExecutionResult;
import org.junit.platform.launcher.LauncherDiscoveryRequest;
import org.junit.platform.launcher.TestExecutionListener;
import org.junit.platform.launcher.TestIdentifier;
import org.junit.platform.launcher.TestPlan;
import org.junit.platform.launcher.core.LauncherDiscoveryRequestBuilder;
import org.junit.platform.launcher.core.LauncherExecutionRequestBuilder;
import org.junit.platform.launcher.core.LauncherFactory;

/// Runs test classes, and stops at the first test that fails: once for each line of the standard input, until that ends. A
/// process that stays spares the start of a JVM and of everything in it for each mutant.
///
/// A line is the seed of the emulator, or `-` for those of the tests' names, and then the classes: `3 a.ATest b.BTest`. The answer
/// is one line that begins with `@`: `@PASSED 17` (tests), `@FAILED class, test: message` (its first line), or `@EMPTY` when there
/// were no tests, which would make every mutant of a kernel survive.
public final class FirstFailure {

    private static final String SEED_PROPERTY = "sidewinder.emulator.seed";

    private FirstFailure() {}

    public static void main(String[] arguments) throws IOException {
        BufferedReader input = new BufferedReader(new InputStreamReader(System.in, UTF_8));
        for (String line = input.readLine(); line != null; line = input.readLine()) {
            List<String> words = Arrays.asList(line.strip().split(" +"));
            if (words.getFirst().equals("-")) {
                System.clearProperty(SEED_PROPERTY);
            } else {
                System.setProperty(SEED_PROPERTY, words.getFirst());
            }
            System.out.println("@" + run(words.subList(1, words.size())));
            System.out.flush();
        }
    }

    private static String run(List<String> classes) {
        LauncherDiscoveryRequest tests = LauncherDiscoveryRequestBuilder.request()
                .selectors(classes.stream().map(name -> selectClass(name)).toList()).build();
        Listener listener = new Listener();
        LauncherFactory.create().execute(LauncherExecutionRequestBuilder.request(tests).listeners(listener)
                .cancellationToken(listener.cancellation).build());
        if (listener.failure != null) {
            return "FAILED " + listener.failure;
        }
        return listener.passed > 0 ? "PASSED " + listener.passed : "EMPTY";
    }

    private static final class Listener implements TestExecutionListener {

        private final CancellationToken cancellation = CancellationToken.create();
        private TestPlan plan;
        private int passed;
        private String failure;

        @Override
        public void testPlanExecutionStarted(TestPlan started) {
            plan = started;
        }

        @Override
        public void executionFinished(TestIdentifier test, TestExecutionResult result) {
            result.getThrowable().ifPresent(thrown -> {
                cancellation.cancel();
                if (failure == null) {
                    String message = String.valueOf(thrown.getMessage()).lines().filter(line -> !line.isBlank()).findFirst()
                            .orElse("").strip();
                    String parent = plan.getParent(test).map(TestIdentifier::getDisplayName).orElse("");
                    failure = parent + ", " + test.getDisplayName() + ": " + message;
                }
            });
            if (test.isTest()) {
                passed++;
            }
        }
    }
}
