package dev.sidewinder.engine;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.sidewinder.engine.Trace.Action;
import dev.sidewinder.engine.TraceTotals.Count;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostCopy;
import dev.sidewinder.kvcache.HostShape;
import java.io.IOException;
import java.io.StringWriter;
import java.lang.invoke.MethodHandles;
import java.net.URI;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.Set;
import java.util.function.Predicate;
import java.util.function.Supplier;
import java.util.stream.Collectors;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.api.io.TempDir;

/// What remains of a trace that fails.
@Timeout(120)
class TraceShrinkerTest {

    private static final int VOCAB = 61;
    private static final Trace.Size SIZE = new Trace.Size(40, 200, 700, VOCAB - 1);
    private static final BackendMemory MEMORY = new BackendMemory(FrameShape.holding(3, 8, 2), new HostShape(64, 2048));

    private static Trace drawn(long seed) {
        return new TraceDrawing(seed, SIZE, MEMORY.frames(), VOCAB, true).draw();
    }

    private static TraceShrinker.Shrunk shrink(Trace trace, Predicate<Trace> fails) {
        return new TraceShrinker(candidate -> fails.test(candidate) ? new AssertionError("as planted") : null, 10_000, Duration.ofSeconds(30))
                .shrink(trace, new AssertionError("the first"));
    }

    @Test
    void leavesTheTwoActionsThatAFailureNeeds() {
        // given a failure that needs a reset some time after a turn of a session
        Trace trace = drawnWith(actions -> resetBehindATurn(actions) >= 0);
        int before = trace.actions().size();

        TraceShrinker.Shrunk shrunk = shrink(trace, candidate -> resetBehindATurn(candidate.actions()) >= 0);

        assertThat(before).isGreaterThan(20);
        assertThat(shrunk.trace().actions()).hasSize(2);
        assertThat(shrunk.trace().actions().getFirst()).isInstanceOfSatisfying(Action.Turn.class, turn -> {
            assertThat(turn.step()).isZero();
            assertThat(turn.added().length()).isOne();
            assertThat(turn.maxTokens()).isOne();
            assertThat(TraceCode.isGreedy(turn.sampling())).isTrue();
        });
        assertThat(shrunk.trace().actions().getLast()).isInstanceOf(Action.Reset.class);
        assertThat(shrunk.failure()).hasMessage("as planted");
    }

    private static int resetBehindATurn(List<Action> actions) {
        int turn = -1;
        for (int i = 0; i < actions.size(); i++) {
            turn = actions.get(i) instanceof Action.Turn ? i : turn;
            if (turn >= 0 && actions.get(i) instanceof Action.Reset) {
                return i;
            }
        }
        return -1;
    }

    @Test
    void makesLengthsAsShortAsTheFailureAllows() {
        Predicate<Trace> fails = trace -> trace.actions().stream().anyMatch(action ->
                action instanceof Action.Arrive arrive && arrive.what().prompt().length() > 128 && arrive.what().maxTokens() >= 3);

        TraceShrinker.Shrunk shrunk = shrink(drawnWith(actions -> fails.test(drawn(1).with(actions))), fails);

        TracePrompt prompt = ((Action.Arrive) shrunk.trace().actions().getFirst()).what().prompt();
        assertThat(shrunk.trace().actions()).hasSize(1);
        assertThat(prompt.length()).isEqualTo(129);
        assertThat(shrunk.trace().limits().maxSequences()).isOne();
        assertThat(((Action.Arrive) shrunk.trace().actions().getFirst()).what())
                .isEqualTo(TraceRequest.of(prompt, 3).withSampling(((Action.Arrive) shrunk.trace().actions().getFirst()).what().sampling()));
    }

    @Test
    void leavesATraceAloneOfWhichNothingCanGo() {
        Trace whole = drawn(3);

        TraceShrinker.Shrunk shrunk = shrink(whole, candidate -> false);

        assertThat(shrunk.trace()).isSameAs(whole);
        assertThat(shrunk.failure()).hasMessage("the first");
    }

    @Test
    void givesUpAfterSoManyPlays() {
        var shrinker = new TraceShrinker(_ -> new AssertionError("always"), 2, Duration.ofSeconds(30));

        assertThat(shrinker.shrink(drawn(4), new AssertionError()).plays()).isEqualTo(2);
    }

    private static Trace drawnWith(Predicate<List<Action>> wanted) {
        for (long seed = 1; seed < 1000; seed++) {
            Trace trace = drawn(seed);
            if (trace.actions().size() > 20 && wanted.test(trace.actions())) {
                return trace;
            }
        }
        throw new AssertionError("no trace like that in a thousand");
    }

    @Test
    void playsATraceTheSameWayEveryTime() {
        for (long seed = 1; seed <= 4; seed++) {
            TraceTotals first = totalsOf(seed);
            assertThat(totalsOf(seed)).as("seed %d", seed).isEqualTo(first);
            assertThat(first.of(Count.CHECKS)).isPositive();
        }
    }

    private static TraceTotals totalsOf(long seed) {
        var harness = new TraceHarness(() -> new FakeBackend(VOCAB, MEMORY).poisonedBy(VOCAB - 1));
        harness.play(seed, SIZE);
        return harness.totals();
    }

    /// One sequence to be suspended, and another one to suspend it.
    @Test
    void showsABlockLeftBehindBySuspensionInAFewActions() {
        ShrunkTraceError found = found(() -> new FakeBackend(VOCAB, MEMORY) {
            @Override
            protected void copyOut(HostCopy copy) {
                if (copy.kind() == HostCopy.Kind.STATE) {
                    super.copyOut(copy);
                }
            }
        });

        assertThat(found.shrunk().actions()).as("%s", found).hasSizeLessThanOrEqualTo(4);
    }

    /// Two requests, one after the other, are all that it takes; and the test that the message holds is Java and fails, too.
    @Test
    void printsATestThatFailsAsTheTraceDid(@TempDir Path folder) throws ReflectiveOperationException, IOException {
        ShrunkTraceError found = found(() -> new FakeBackend(VOCAB, MEMORY).keepingStaleSlots());

        assertThat(found.shrunk().actions()).as("%s", found).hasSizeLessThanOrEqualTo(2);
        assertThat(found).hasMessageContaining("of seed " + found.shrunk().seed()).hasMessageContaining(found.code());
        Class<?> pasted = compiled("PastedTrace", found.code(), folder);
        Object test = pasted.getDeclaredConstructor().newInstance();
        assertThatThrownBy(() -> pasted.getDeclaredMethod("playsATraceThatFailedOnce").invoke(test)).cause()
                .isInstanceOf(AssertionError.class).hasMessageContaining("against itself alone");
    }

    /// Every kind of action and option, so that whatever may be printed is Java.
    @Test
    void printsWhatMakesTheSameTrace(@TempDir Path folder) throws ReflectiveOperationException, IOException {
        for (long seed = 1; seed <= 2; seed++) {
            Trace trace = drawn(seed);
            String code = "public Trace make() {\n    return " + trace + ";\n}";
            Class<?> pasted = compiled("PrintedTrace" + seed, code, folder);

            Object same = pasted.getDeclaredMethod("make").invoke(pasted.getDeclaredConstructor().newInstance());

            // Records with arrays in them are not equal, but their text is.
            assertThat(same).isInstanceOf(Trace.class).hasToString(trace.toString());
        }
    }

    private static ShrunkTraceError found(Supplier<Backend> backends) {
        for (long seed = 1; seed < 30; seed++) {
            long now = seed;
            ShrunkTraceError found = catchThrowableOfType(ShrunkTraceError.class, () -> new TraceHarness(backends).play(now, SIZE));
            if (found != null) {
                return found;
            }
        }
        throw new AssertionError("nothing found in thirty traces");
    }

    /// A class of this package with the given method, and what the message says it may import.
    private static Class<?> compiled(String name, String method, Path folder) throws IOException, IllegalAccessException {
        String imports = TraceCode.IMPORTS.stream().map(each -> "import " + each.getName() + ";\n").collect(Collectors.joining());
        String source = "package dev.sidewinder.engine;\n" + imports + "import org.junit.jupiter.api.Test;\npublic class " + name + " {\n" + method + "\n}\n";
        var file = new SimpleJavaFileObject(URI.create("string:///dev/sidewinder/engine/" + name + ".java"), JavaFileObject.Kind.SOURCE) {
            @Override
            public CharSequence getCharContent(boolean ignoreErrors) {
                return source;
            }
        };
        JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
        var messages = new StringWriter();
        List<String> options = List.of("-d", folder.toString(), "-classpath", System.getProperty("java.class.path"), "-proc:none", "-implicit:none");
        assertThat(compiler.getTask(messages, null, null, options, Set.of(), List.of(file)).call()).as("%s%n%s", messages, source).isTrue();
        return MethodHandles.lookup().defineClass(Files.readAllBytes(folder.resolve("dev/sidewinder/engine/" + name + ".class")));
    }
}
