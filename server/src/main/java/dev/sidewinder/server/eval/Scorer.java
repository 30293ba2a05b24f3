package dev.sidewinder.server.eval;

import com.fasterxml.jackson.databind.JsonNode;
import dev.sidewinder.server.eval.Expectation.Content;
import dev.sidewinder.server.eval.Expectation.ContentWithoutCalls;
import dev.sidewinder.server.eval.Expectation.JsonContent;
import dev.sidewinder.server.eval.Expectation.ToolCalls;
import java.util.List;
import java.util.Optional;

/// Compares answers with what was expected. Exact: nothing is right by half.
final class Scorer {

    private Scorer() {}

    static Verdict score(Expectation expected, Answer answer) {
        return switch (expected) {
            case Content content -> content(content.text(), answer);
            case ContentWithoutCalls content -> answer.calls().isEmpty()
                    ? content(content.text(), answer)
                    : Verdict.wrong("called " + names(answer) + " where no tool was to be called");
            case ToolCalls calls -> calls(calls.calls(), answer.calls());
            case JsonContent json -> json(json.value(), answer);
        };
    }

    private static Verdict content(String expected, Answer answer) {
        return answer.content().strip().equals(expected.strip()) ? Verdict.RIGHT : Verdict.wrong("the text is another");
    }

    private static Verdict json(JsonNode expected, Answer answer) {
        Optional<JsonNode> value = JsonText.parse(answer.content().strip());
        String problem = value.isEmpty() ? "the content is no JSON"
                : JsonText.same(expected, value.get()) ? "" : "the JSON has another value";
        return new Verdict(problem, Optional.of(value.isPresent()));
    }

    private static Verdict calls(List<Expectation.Call> expected, List<Answer.Call> calls) {
        if (calls.size() != expected.size()) {
            return Verdict.wrong("there are " + calls.size() + " tool calls, not " + expected.size());
        }
        for (int i = 0; i < calls.size(); i++) {
            String problem = difference(expected.get(i), calls.get(i));
            if (!problem.isEmpty()) {
                return Verdict.wrong("call " + (i + 1) + ": " + problem);
            }
        }
        return Verdict.RIGHT;
    }

    private static String difference(Expectation.Call expected, Answer.Call call) {
        if (!call.name().equals(expected.name())) {
            return "the tool is " + call.name() + ", not " + expected.name();
        }
        Optional<JsonNode> arguments = JsonText.parse(call.arguments());
        if (arguments.isEmpty()) {
            return "the arguments are no JSON";
        }
        return JsonText.same(expected.arguments(), arguments.get()) ? "" : "the arguments are others";
    }

    private static String names(Answer answer) {
        return String.join(", ", answer.calls().stream().map(Answer.Call::name).toList());
    }
}
