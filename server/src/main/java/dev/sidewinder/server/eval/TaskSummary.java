package dev.sidewinder.server.eval;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/// The cases of one task, or of all, counted.
///
/// @param task         `all` for all of them
/// @param answerTokens on average
/// @param jsonAsked    cases that asked for JSON
/// @param jsonValid    of these, answers that are JSON, right or not
record TaskSummary(String task, Proportion right, double answerTokens, int jsonAsked, int jsonValid) {

    static final String ALL = "all";

    /// Task by task in the order of first cases.
    static List<TaskSummary> byTask(List<CaseResult.Scored> results) {
        Map<String, List<CaseResult.Scored>> tasks = new LinkedHashMap<>();
        results.forEach(result -> tasks.computeIfAbsent(result.test().task(), _ -> new ArrayList<>()).add(result));
        return tasks.entrySet().stream().map(entry -> of(entry.getKey(), entry.getValue())).toList();
    }

    /// @param results at least one
    static TaskSummary of(String task, List<CaseResult.Scored> results) {
        int right = 0;
        long tokens = 0;
        int asked = 0;
        int valid = 0;
        for (CaseResult.Scored result : results) {
            right += result.verdict().right() ? 1 : 0;
            tokens += result.answer().answerTokens();
            asked += result.verdict().validJson().isPresent() ? 1 : 0;
            valid += result.verdict().validJson().orElse(false) ? 1 : 0;
        }
        return new TaskSummary(task, new Proportion(right, results.size()), (double) tokens / results.size(), asked, valid);
    }
}
