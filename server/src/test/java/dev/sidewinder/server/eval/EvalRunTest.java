package dev.sidewinder.server.eval;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.server.eval.FakeEvalServer.Reply;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.function.Function;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

@Timeout(60)
class EvalRunTest {

    private static final EvalRun.Listener SILENT = (_, _) -> {};

    @Test
    void scoresEveryCaseAndKeepsTheirOrder() throws Exception {
        // given cases that a server answers in another order, every third one wrong
        List<TestCase> cases = IntStream.range(0, 60).mapToObj(i -> Cases.test("case-" + i, "t",
                new Expectation.Content("case-" + i))).toList();
        List<Integer> heard = new ArrayList<>();

        EvalRun run = run(cases, 7, (done, right) -> heard.add(done * 1000 + right), question -> {
            int number = Integer.parseInt(question.substring("case-".length()));
            pause(59 - number);
            return FakeEvalServer.content(number % 3 == 0 ? "wrong" : question);
        });

        assertThat(run.results()).extracting(result -> result.test().id())
                .containsExactlyElementsOf(cases.stream().map(TestCase::id).toList());
        assertThat(run.scored()).hasSize(60).filteredOn(result -> !result.verdict().right())
                .extracting(result -> result.test().id()).hasSize(20).startsWith("case-0", "case-3", "case-6");
        assertThat(heard).hasSize(60).last().isEqualTo(60_040);
    }

    @Test
    void asksAsManyAtOnceAsItMayAndNoMore() throws Exception {
        var inFlight = new AtomicInteger();
        var most = new AtomicInteger();
        var three = new CountDownLatch(3);
        List<TestCase> cases = IntStream.range(0, 12).mapToObj(i -> Cases.test("c" + i, "t", new Expectation.Content("")))
                .toList();

        run(cases, 3, SILENT, _ -> {
            most.accumulateAndGet(inFlight.incrementAndGet(), Math::max);
            three.countDown();
            await(three);
            pause(5);
            inFlight.decrementAndGet();
            return FakeEvalServer.content("");
        });

        assertThat(most).hasValue(3);
    }

    @Test
    void asksGreedilyWithToolsAndThinkingAsTheCaseSays() throws Exception {
        var full = new TestCase("full", "t", Cases.json("[{'role':'system','content':'s'},{'role':'user','content':'u'}]"),
                Optional.of(Cases.json("[{'type':'function','function':{'name':'f'}}]")), Optional.of(false), 9,
                new Expectation.Content(""));
        try (var server = new FakeEvalServer(_ -> FakeEvalServer.content(""))) {
            EvalRun.of("x", "", server.address(), set(List.of(full)), 1, SILENT);
            EvalRun.of("x", "", server.address(), set(List.of(Cases.test("plain", "t", new Expectation.Content("")))), 1, SILENT);

            assertThat(server.requests.get(0)).isEqualTo(Cases.json("{'model':'fake','messages':[{'role':'system',"
                    + "'content':'s'},{'role':'user','content':'u'}],'tools':[{'type':'function','function':{'name':'f'}}],"
                    + "'chat_template_kwargs':{'enable_thinking':false},'temperature':0,'max_completion_tokens':9}"));
            assertThat(server.requests.get(1)).isEqualTo(Cases.json("{'model':'fake','messages':[{'role':'user',"
                    + "'content':'plain'}],'temperature':0,'max_completion_tokens':16}"));
        }
    }

    @Test
    void readsReasoningToolCallsAndCounts() throws Exception {
        String reply = """
                {"choices":[{"index":0,"finish_reason":"tool_calls","message":{"role":"assistant","content":null,
                 "reasoning":"Hm.","reasoning_content":"Hm.","tool_calls":[{"id":"1","type":"function",
                 "function":{"name":"f","arguments":"{\\"x\\":1}"}}]}}],"usage":{"prompt_tokens":3,"completion_tokens":5}}""";
        var test = Cases.test("c", "t", new Expectation.ToolCalls(List.of(new Expectation.Call("f", Cases.json("{'x':1}")))));

        EvalRun run = run(List.of(test), 1, SILENT, _ -> new Reply(200, reply));

        assertThat(run.scored().getFirst().answer())
                .isEqualTo(new Answer("", "Hm.", List.of(new Answer.Call("f", "{\"x\":1}")), "tool_calls", 3, 5));
        assertThat(run.scored().getFirst().verdict().right()).isTrue();
        assertThat(run.server()).isEqualTo(new ServerInfo("fake", "bf16", "0123abcd", 4096, "1.2.3", "abc"));
    }

    @Test
    void skipsWhatDoesNotFitAndNothingElse() throws Exception {
        List<TestCase> cases = List.of(Cases.test("long", "t", new Expectation.Content("x")),
                Cases.test("short", "t", new Expectation.Content("short")));

        EvalRun run = run(cases, 2, SILENT, question -> question.equals("long")
                ? FakeEvalServer.error(400, "context_length_exceeded", "The prompt has 9000 tokens")
                : FakeEvalServer.content(question));

        assertThat(run.skipped()).extracting(CaseResult.Skipped::reason).containsExactly("The prompt has 9000 tokens");
        assertThat(run.scored()).extracting(result -> result.test().id()).containsExactly("short");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', quoteCharacter = '~', value = {
        "400 | {\"error\":{\"code\":\"invalid_value\",\"message\":\"no\"}} | case bad: the server answers 400: no",
        "500 | {\"error\":{\"code\":\"context_length_exceeded\",\"message\":\"odd\"}} | case bad: the server answers 500: odd",
        "503 | {\"error\":{\"message\":\"full\"}} | case bad: the server answers 503: full",
        "502 | <html> | case bad: the server answers with status 502 and no JSON",
        "200 | {\"choices\":[]} | case bad: the server answers something else than a chat completion",
        "200 | {\"choices\":[{\"message\":{\"content\":\"bad\"}}]} | case bad: the server answers something else",
        "0   | x | case bad: the server does not answer: ",
    })
    void aFailingRequestEndsTheRunWithItsCase(int status, String body, String message) {
        List<TestCase> cases = List.of(Cases.test("good", "t", new Expectation.Content("good")),
                Cases.test("bad", "t", new Expectation.Content("bad")), Cases.test("other", "t", new Expectation.Content("x")));

        assertThatThrownBy(() -> run(cases, 2, SILENT, question -> question.equals("bad") ? new Reply(status, body)
                : FakeEvalServer.content(question))).isInstanceOf(EvalException.class).hasMessageStartingWith(message);
    }

    @Test
    void givesUpTheOthersWhenOneFails() {
        var never = new CountDownLatch(1);
        List<TestCase> cases = List.of(Cases.test("endless", "t", new Expectation.Content("")),
                Cases.test("bad", "t", new Expectation.Content("")));

        assertThatThrownBy(() -> run(cases, 2, SILENT, question -> {
            if (question.equals("endless")) {
                await(never);
            }
            return new Reply(500, "{}");
        })).isInstanceOf(EvalException.class).hasMessageContaining("case bad");
    }

    @Test
    void saysWhenNobodyOrSomebodyElseAnswers() throws Exception {
        URI nobody;
        try (var socket = new ServerSocket(0, 1, InetAddress.getLoopbackAddress())) {
            nobody = URI.create("http://127.0.0.1:" + socket.getLocalPort());
        }
        assertThatThrownBy(() -> EvalRun.of("x", "", nobody, set(List.of()), 1, SILENT))
                .isInstanceOf(EvalException.class).hasMessageStartingWith("no server answers at " + nobody);
        try (var server = new FakeEvalServer(_ -> FakeEvalServer.content(""))) {
            URI elsewhere = server.address().resolve("/v1/chat/");
            assertThatThrownBy(() -> EvalRun.of("x", "", elsewhere, set(List.of()), 1, SILENT))
                    .isInstanceOf(EvalException.class).hasMessageContaining("this is no OpenAI-compatible server");
        }
    }

    private static EvalRun run(List<TestCase> cases, int concurrency, EvalRun.Listener listener,
            Function<String, Reply> answers) throws Exception {
        try (var server = new FakeEvalServer(answers)) {
            return EvalRun.of("fake", "bf16", server.address(), set(cases), concurrency, listener);
        }
    }

    private static TestSet set(List<TestCase> cases) {
        return new TestSet(List.of(), cases);
    }

    private static void await(CountDownLatch latch) {
        try {
            latch.await(30, TimeUnit.SECONDS);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }

    private static void pause(int millis) {
        try {
            Thread.sleep(millis);
        } catch (InterruptedException e) {
            Thread.currentThread().interrupt();
        }
    }
}
