package dev.sidewinder.server.eval;

import static dev.sidewinder.server.eval.Cases.call;
import static dev.sidewinder.server.eval.Cases.content;
import static dev.sidewinder.server.eval.Cases.json;
import static org.assertj.core.api.Assertions.assertThat;

import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

class ScorerTest {

    private static final Expectation WEATHER = new Expectation.ToolCalls(List.of(
            new Expectation.Call("get_weather", json("{'city':'Paris','days':3}"))));

    @ParameterizedTest
    @ValueSource(strings = {"Paris", " Paris", "Paris\n", "\n\tParis \u2003"})
    void contentMayHaveWhiteSpaceAroundIt(String answer) {
        assertRight(new Expectation.Content("Paris"), content(answer));
        assertRight(new Expectation.Content("Paris\n"), content(answer));
    }

    @ParameterizedTest
    @ValueSource(strings = {"paris", "Paris.", "Pari", "Paris Paris", "", "Pa ris", "P\u0430ris"})
    void contentIsExactOtherwise(String answer) {
        assertWrong(new Expectation.Content("Paris"), content(answer), "the text is another");
    }

    @Test
    void emptyContentCanBeExpected() {
        assertRight(new Expectation.Content(""), content(" \n"));
        assertWrong(new Expectation.Content(""), content("."), "the text is another");
    }

    @Test
    void contentWithoutCallsForbidsThem() {
        var answer = new Answer("Hello", "", List.of(new Answer.Call("f", "{}"), new Answer.Call("g", "{}")), "stop", 1, 1);

        assertRight(new Expectation.Content("Hello"), answer);
        assertWrong(new Expectation.ContentWithoutCalls("Hello"), answer, "called f, g where no tool was to be called");
        assertRight(new Expectation.ContentWithoutCalls("Hello"), content("Hello"));
        assertWrong(new Expectation.ContentWithoutCalls("Hello"), content("hello"), "the text is another");
    }

    @ParameterizedTest
    @ValueSource(strings = {"{'city':'Paris','days':3}", "{'days':3,'city':'Paris'}", " {'city' : 'Paris', 'days' : 3.0 }",
        "{'city':'P\\u0061ris','days':0.3e1}"})
    void argumentsAreComparedAsValues(String arguments) {
        assertRight(WEATHER, call("get_weather", arguments));
    }

    @ParameterizedTest
    @ValueSource(strings = {"{'city':'paris','days':3}", "{'city':'Paris','days':'3'}", "{'city':'Paris'}", "[]",
        "{'city':'Paris','days':3,'more':null}", "{'city':'Paris','days':3.0000000000000000000001}", "{'city':'Paris','days':true}"})
    void otherArgumentsAreWrong(String arguments) {
        assertWrong(WEATHER, call("get_weather", arguments), "call 1: the arguments are others");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "{'city':'Paris','days':3", "{'city':'Paris','days':3}}", "{'city':'Paris','days':3} x",
        "{'city':'Rome','city':'Paris','days':3}", "{city:'Paris','days':3}", "{'city':'Paris','days':NaN}"})
    void argumentsThatAreNoJsonAreWrong(String arguments) {
        assertWrong(WEATHER, call("get_weather", arguments), "call 1: the arguments are no JSON");
    }

    @Test
    void theToolIsTheRightOneAndTheOnlyOne() {
        assertWrong(WEATHER, call("get_Weather", "{'city':'Paris','days':3}"),
                "call 1: the tool is get_Weather, not get_weather");
        assertWrong(WEATHER, content("{\"city\":\"Paris\",\"days\":3}"), "there are 0 tool calls, not 1");
    }

    @Test
    void callsAreRightInTheirOrderOnly() {
        var a = new Answer.Call("a", "{}");
        var b = new Answer.Call("b", "{\"x\":[1,2]}");
        var expected = new Expectation.ToolCalls(List.of(new Expectation.Call("a", json("{}")),
                new Expectation.Call("b", json("{'x':[1,2.0]}"))));

        assertRight(expected, calls(a, b));
        assertWrong(expected, calls(b, a), "call 1: the tool is b, not a");
        assertWrong(expected, calls(a), "there are 1 tool calls, not 2");
        assertWrong(expected, calls(a, b, b), "there are 3 tool calls, not 2");
        assertWrong(expected, calls(a, new Answer.Call("b", "{\"x\":[2,1]}")), "call 2: the arguments are others");
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', value = {
        "{'a':1,'b':[true,null,'x']}             |                           | true",
        "  {'b':[true,null,'x'],\\n'a':1.00} \\n |                           | true",
        "{'a':1,'b':[true,null,'y']}             | the JSON has another value | true",
        "{'a':1,'b':[true,null]}                 | the JSON has another value | true",
        "{'a':'1','b':[true,null,'x']}           | the JSON has another value | true",
        "null                                    | the JSON has another value | true",
        "```json {'a':1,'b':[true,null,'x']}```  | the content is no JSON     | false",
        "{'a':1,'b':[true,null,'x',]}            | the content is no JSON     | false",
        "{'a':1,'b':[true,null,'x']} ok          | the content is no JSON     | false",
        "{'a':1,'a':1,'b':[true,null,'x']}       | the content is no JSON     | false",
        "{'a':01,'b':[true,null,'x']}            | the content is no JSON     | false",
        "''                                      | the JSON has another value | true",
    }, quoteCharacter = '~')
    void jsonIsToldInValidityAndValue(String answer, String problem, boolean valid) {
        var expected = new Expectation.JsonContent(json("{'a':1,'b':[true,null,'x']}"));

        Verdict verdict = Scorer.score(expected, content(answer.replace('\'', '"').replace("\\n", "\n")));

        assertThat(verdict.problem()).isEqualTo(problem == null ? "" : problem);
        assertThat(verdict.validJson()).contains(valid);
    }

    @Test
    void anEmptyAnswerIsNoJson() {
        assertThat(Scorer.score(new Expectation.JsonContent(json("{}")), content(" ")).validJson()).contains(false);
    }

    @Test
    void numbersOfAnySizeAreCompared() {
        var expected = new Expectation.JsonContent(json("1e999999999"));

        assertRight(expected, content("10E+999999998"));
        assertWrong(expected, content("1e999999998"), "the JSON has another value");
        assertWrong(new Expectation.JsonContent(json("9007199254740993")), content("9007199254740992"),
                "the JSON has another value");
    }

    private static Answer calls(Answer.Call... calls) {
        return new Answer("", "", List.of(calls), "tool_calls", 1, 1);
    }

    private static void assertRight(Expectation expected, Answer answer) {
        assertThat(Scorer.score(expected, answer).problem()).isEmpty();
    }

    private static void assertWrong(Expectation expected, Answer answer, String problem) {
        assertThat(Scorer.score(expected, answer).problem()).isEqualTo(problem);
        assertThat(Scorer.score(expected, answer).right()).isFalse();
    }
}
