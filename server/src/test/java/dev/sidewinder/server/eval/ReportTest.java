package dev.sidewinder.server.eval;

import static dev.sidewinder.server.eval.Cases.call;
import static dev.sidewinder.server.eval.Cases.content;
import static dev.sidewinder.server.eval.Cases.scored;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import com.fasterxml.jackson.databind.JsonNode;
import java.time.Duration;
import java.time.Instant;
import java.util.ArrayList;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;

/// Tables and JSON of two small runs, to the letter.
class ReportTest {

    private static final ServerInfo SERVER = new ServerInfo("tiny", "bf16", "0123abcd", 4096, "1.2.3", "abc");
    private static final Expectation A = new Expectation.Content("a");
    private static final Expectation EMPTY_OBJECT = new Expectation.JsonContent(Cases.json("{}"));
    private static final Expectation CALL =
            new Expectation.ToolCalls(List.of(new Expectation.Call("f", Cases.json("{'x':1}"))));

    private static final EvalRun FIRST = run("tiny bf16", "bf16", List.of(
            scored("copy-1", "copy", A, content("a")),
            scored("copy-2", "copy", A, content("b\n\u001b[31mred\u0085")),
            scored("json-1", "json", EMPTY_OBJECT, content("{}")),
            scored("json-2", "json", EMPTY_OBJECT, content("[]")),
            scored("json-3", "json", EMPTY_OBJECT, content("{")),
            scored("call-1", "tool-call", CALL, call("f", "{'x':2}")),
            new CaseResult.Skipped(Cases.test("long-1", "long", A), "The prompt has 9000 tokens.")));

    private static final EvalRun SECOND = run("tiny f32", "f32", List.of(
            scored("copy-1", "copy", A, content("no")),
            scored("copy-2", "copy", A, content("c")),
            scored("json-1", "json", EMPTY_OBJECT, content("{}")),
            scored("json-2", "json", EMPTY_OBJECT, content("{}")),
            scored("json-3", "json", EMPTY_OBJECT, content("{ }")),
            scored("call-1", "tool-call", CALL, call("f", "{'x':1}")),
            scored("long-1", "long", A, content("a"))));

    @Test
    void oneRunIsATableByTask() {
        assertThat(ReportText.of(FIRST)).isEqualTo("""
                tiny bf16: 7 cases in 1.5 s, weights 0123abcd (bf16), arithmetic bf16, version 1.2.3 (abc)

                task           cases   right  accuracy    95 % interval   tokens
                copy               2       1    50.0 %    9.5 …  90.5 %      4.0
                json               3       1    33.3 %    6.1 …  79.2 %      4.0
                tool-call          1       0     0.0 %    0.0 …  79.3 %      4.0
                all                6       2    33.3 %    9.7 …  70.0 %      4.0

                json: 2 of 3 answers are JSON
                skipped long-1 (tiny bf16): The prompt has 9000 tokens.
                """);
    }

    @Test
    void twoRunsStandSideBySideWithWhatChanged() {
        assertThat(ReportText.of(FIRST, SECOND)).isEqualTo("""
                tiny bf16: 7 cases in 1.5 s, weights 0123abcd (bf16), arithmetic bf16, version 1.2.3 (abc)
                tiny f32: 7 cases in 1.5 s, weights 0123abcd (bf16), arithmetic f32, version 1.2.3 (abc)

                                             tiny bf16          tiny f32
                task           cases             right             right  difference    95 % interval        p
                copy               2        1   50.0 %        0    0.0 %      -50.00  -89.82 … +39.82   1.0000
                json               3        1   33.3 %        3  100.0 %      +66.67  -18.14 … +98.14   0.5000
                tool-call          1        0    0.0 %        1  100.0 %     +100.00  -51.01 … +100.00   1.0000
                all                6        2   33.3 %        4   66.7 %      +33.33  -26.97 … +76.97   0.6250

                4 cases changed from right to wrong or back; 1 more have another answer and the same verdict
                copy-1: right, then wrong
                  tiny bf16: "a"
                  tiny f32: "no"
                json-2: wrong, then right
                  tiny bf16: "[]"
                  tiny f32: "{}"
                json-3: wrong, then right
                  tiny bf16: "{"
                  tiny f32: "{ }"
                call-1: wrong, then right
                  tiny bf16: f{"x":2}
                  tiny f32: f{"x":1}
                skipped long-1 (tiny bf16): The prompt has 9000 tokens.
                """);
    }

    @Test
    void wrongAnswersStandBesideTheRightOnes() {
        assertThat(ReportText.wrong(FIRST, 1)).isEqualTo("""
                wrong copy-2 (tiny bf16): the text is another
                  asked    "copy-2"
                  expected "a"
                  answered "b\\n\\u001B[31mred\\u0085"
                wrong json-2 (tiny bf16): the JSON has another value
                  asked    "json-2"
                  expected {}
                  answered "[]"
                wrong call-1 (tiny bf16): call 1: the arguments are others
                  asked    "call-1"
                  expected f{"x":1}
                  answered f{"x":2}
                """);
        assertThat(ReportText.wrong(FIRST, 2)).contains("wrong json-3 (tiny bf16): the content is no JSON");
    }

    @Test
    void longAnswersAreShortenedBetweenCharacters() {
        var cut = new Answer("😀".repeat(200), "", List.of(), "length", 5, 64);

        String shown = ReportText.wrong(run("x", "", List.of(scored("c", "t", A, cut))), 1);

        assertThat(shown).contains("  answered \"" + "😀".repeat(79) + "… and was cut off after 64 tokens");
    }

    @Test
    void ofALongQuestionTheEndIsShown() {
        var asked = new TestCase("c", "t", Cases.json("[{'role':'user','content':'x'},{'role':'user','content':'"
                + "😀".repeat(200) + "?'}]"), Optional.empty(), Optional.empty(), 1, A);
        var result = new CaseResult.Scored(asked, content("b"), Verdict.wrong("w"));

        assertThat(ReportText.wrong(run("x", "", List.of(result)), 1))
                .contains("  asked    …\"" + "😀".repeat(79) + "?\"" + System.lineSeparator());
    }

    @Test
    void aRunWithoutAnyAnswerHasNoTable() {
        var nothing = run("x", "", List.of(new CaseResult.Skipped(Cases.test("c", "t", A), "too long")));

        assertThat(ReportText.of(nothing).lines()).hasSize(2).last().isEqualTo("skipped c (x): too long");
        assertThat(ReportText.of(nothing, FIRST)).contains("no case was answered by both");
    }

    @Test
    void theJsonHasSettingsResultsAndEveryAnswer() {
        JsonNode report = json(List.of(FIRST));

        assertThat(report.get("began").asText()).isEqualTo("2026-11-22T05:00:00Z");
        assertThat(report.get("settings")).isEqualTo(Cases.json("{'tasks':['copy','json'],'limit':3,'concurrency':8,'temperature':0}"));
        assertThat(report.get("sets")).isEqualTo(Cases.json("[{'file':'test.jsonl','sha256':'00ff','cases':7}]"));
        assertThat(report.has("comparison")).isFalse();
        JsonNode run = report.get("runs").get(0);
        assertThat(run.get("label").asText()).isEqualTo("tiny bf16");
        assertThat(run.get("arithmetic").asText()).isEqualTo("bf16");
        assertThat(run.get("server")).isEqualTo(Cases.json("{'model':'tiny','number_format':'bf16','weights':'0123abcd',"
                + "'max_model_len':4096,'version':'1.2.3','commit':'abc'}"));
        JsonNode copy = run.get("tasks").get(0);
        assertThat(copy.get("task").asText()).isEqualTo("copy");
        assertThat(copy.get("right").asInt()).isEqualTo(1);
        assertThat(copy.get("interval").get(0).asDouble()).isCloseTo(0.0945, within(1e-3));
        assertThat(copy.has("json_valid")).isFalse();
        assertThat(run.get("tasks").get(1).get("json_valid").asInt()).isEqualTo(2);
        assertThat(run.get("all").get("cases").asInt()).isEqualTo(6);
        assertThat(run.get("cases")).hasSize(6);
        assertThat(run.get("cases").get(1)).isEqualTo(Cases.json("{'id':'copy-2','task':'copy','right':false,"
                + "'problem':'the text is another','content':'b\\n\\u001b[31mred\\u0085','finish_reason':'stop',"
                + "'prompt_tokens':10,'answer_tokens':4}"));
        assertThat(run.get("cases").get(5).get("tool_calls").get(0).get("name").asText()).isEqualTo("f");
        assertThat(run.get("skipped")).isEqualTo(Cases.json("[{'id':'long-1','task':'long',"
                + "'reason':'The prompt has 9000 tokens.'}]"));
    }

    @Test
    void theJsonOfTwoRunsComparesThem() {
        JsonNode comparison = json(List.of(FIRST, SECOND)).get("comparison");

        JsonNode all = comparison.get("all");
        assertThat(List.of(all.get("both_right").asInt(), all.get("first_only").asInt(), all.get("second_only").asInt(),
                all.get("neither").asInt())).containsExactly(1, 1, 3, 1);
        assertThat(all.get("p").asDouble()).isEqualTo(0.625, within(1e-12));
        assertThat(comparison.get("tasks")).hasSize(3);
        List<String> changed = new ArrayList<>();
        comparison.get("changed").forEach(change -> changed.add(change.get("id").asText() + " " + change.get("right_in").asText()));
        assertThat(changed).containsExactly("copy-1 tiny bf16", "json-2 tiny f32", "json-3 tiny f32", "call-1 tiny f32");
        assertThat(comparison.get("other_answer_same_verdict")).isEqualTo(Cases.json("['copy-2']"));
    }

    private static JsonNode json(List<EvalRun> runs) {
        var settings = new ReportJson.Settings(new LinkedHashSet<>(List.of("copy", "json")), 3, 8,
                Instant.parse("2026-11-22T05:00:00Z"));
        var set = new TestSet(List.of(new TestSet.Source("test.jsonl", "00ff", 7)), List.of());
        return JsonText.parse(ReportJson.of(settings, set, runs)).orElseThrow();
    }

    private static EvalRun run(String label, String arithmetic, List<CaseResult> results) {
        return new EvalRun(label, arithmetic, SERVER, Duration.ofMillis(1500), results);
    }
}
