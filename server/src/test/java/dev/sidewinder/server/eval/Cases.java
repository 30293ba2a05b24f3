package dev.sidewinder.server.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.JsonNode;
import java.util.List;
import java.util.Optional;

/// Test cases and answers, short to write.
final class Cases {

    private Cases() {}

    static JsonNode json(String text) {
        try {
            return JsonText.parseOrFail(text.replace('\'', '"'));
        } catch (JsonProcessingException e) {
            throw new IllegalArgumentException(text, e);
        }
    }

    /// Asks its own id and expects that content.
    static TestCase test(String id, String task, Expectation expected) {
        return new TestCase(id, task, json("[{'role':'user','content':'" + id + "'}]"), Optional.empty(),
                Optional.empty(), 16, expected);
    }

    static Answer content(String text) {
        return new Answer(text, "", List.of(), "stop", 10, 4);
    }

    /// An answer that calls one tool.
    static Answer call(String name, String arguments) {
        return new Answer("", "", List.of(new Answer.Call(name, arguments.replace('\'', '"'))), "tool_calls", 10, 4);
    }

    static CaseResult.Scored scored(String id, String task, Expectation expected, Answer answer) {
        return new CaseResult.Scored(test(id, task, expected), answer, Scorer.score(expected, answer));
    }
}
