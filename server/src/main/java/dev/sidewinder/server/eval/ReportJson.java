package dev.sidewinder.server.eval;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.time.Instant;
import java.util.Collections;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Set;

/// Everything about an evaluation as one JSON object, for other programs and later comparison.
public final class ReportJson {

    private static final JsonNodeFactory JSON = JsonNodeFactory.instance;

    private ReportJson() {}

    /// How an evaluation was asked for.
    ///
    /// @param tasks       those asked for; empty = all
    /// @param limit       cases of each task at most; 0 = all
    /// @param concurrency cases in flight at once
    public record Settings(Set<String> tasks, int limit, int concurrency, Instant began) {
        public Settings {
            tasks = Collections.unmodifiableSet(new LinkedHashSet<>(tasks));
        }
    }

    /// @param runs one, or two to be compared
    public static String of(Settings settings, TestSet set, List<EvalRun> runs) {
        ObjectNode report = JSON.objectNode();
        report.put("began", settings.began().toString());
        ObjectNode asked = report.putObject("settings");
        settings.tasks().forEach(asked.putArray("tasks")::add);
        asked.put("limit", settings.limit()).put("concurrency", settings.concurrency()).put("temperature", 0);
        ArrayNode files = report.putArray("sets");
        set.sources().forEach(source -> files.addObject().put("file", source.file()).put("sha256", source.sha256())
                .put("cases", source.cases()));
        ArrayNode list = report.putArray("runs");
        runs.forEach(run -> list.add(run(run)));
        if (runs.size() == 2) {
            report.set("comparison", comparison(Comparison.of(runs.get(0), runs.get(1))));
        }
        try {
            return new ObjectMapper().writerWithDefaultPrettyPrinter().writeValueAsString(report) + "\n";
        } catch (JsonProcessingException e) {
            throw new IllegalStateException("a tree can always be written", e);
        }
    }

    private static ObjectNode run(EvalRun run) {
        ServerInfo server = run.server();
        ObjectNode node = JSON.objectNode().put("label", run.label()).put("arithmetic", orNull(run.arithmetic()));
        node.putObject("server").put("model", server.model()).put("number_format", orNull(server.numberFormat()))
                .put("weights", orNull(server.weights())).put("max_model_len", server.maxModelTokens())
                .put("version", orNull(server.version())).put("commit", orNull(server.commit()));
        node.put("seconds", run.time().toMillis() / 1000.0);
        ArrayNode tasks = node.putArray("tasks");
        if (!run.scored().isEmpty()) {
            TaskSummary.byTask(run.scored()).forEach(task -> tasks.add(summary(task)));
            node.set("all", summary(TaskSummary.of(TaskSummary.ALL, run.scored())));
        }
        ArrayNode cases = node.putArray("cases");
        run.scored().forEach(result -> cases.add(scored(result)));
        ArrayNode skipped = node.putArray("skipped");
        run.skipped().forEach(result -> skipped.addObject().put("id", result.test().id())
                .put("task", result.test().task()).put("reason", result.reason()));
        return node;
    }

    private static ObjectNode summary(TaskSummary task) {
        ObjectNode node = JSON.objectNode().put("task", task.task()).put("cases", task.right().cases())
                .put("right", task.right().right()).put("accuracy", task.right().value());
        node.set("interval", interval(task.right().interval()));
        node.put("answer_tokens", task.answerTokens());
        if (task.jsonAsked() > 0) {
            node.put("json_asked", task.jsonAsked()).put("json_valid", task.jsonValid());
        }
        return node;
    }

    private static ObjectNode scored(CaseResult.Scored result) {
        Answer answer = result.answer();
        ObjectNode node = JSON.objectNode().put("id", result.test().id()).put("task", result.test().task())
                .put("right", result.verdict().right());
        if (!result.verdict().right()) {
            node.put("problem", result.verdict().problem());
        }
        result.verdict().validJson().ifPresent(valid -> node.put("json_valid", valid));
        node.put("content", answer.content());
        if (!answer.reasoning().isEmpty()) {
            node.put("reasoning", answer.reasoning());
        }
        if (!answer.calls().isEmpty()) {
            ArrayNode calls = node.putArray("tool_calls");
            answer.calls().forEach(call -> calls.addObject().put("name", call.name()).put("arguments", call.arguments()));
        }
        return node.put("finish_reason", answer.finishReason()).put("prompt_tokens", answer.promptTokens())
                .put("answer_tokens", answer.answerTokens());
    }

    private static ObjectNode comparison(Comparison comparison) {
        ObjectNode node = JSON.objectNode();
        ArrayNode tasks = node.putArray("tasks");
        comparison.byTask().forEach((task, counts) -> tasks.add(counts(task, counts)));
        if (!comparison.pairs().isEmpty()) {
            node.set("all", counts(TaskSummary.ALL, comparison.all()));
        }
        ArrayNode changed = node.putArray("changed");
        ArrayNode others = node.putArray("other_answer_same_verdict");
        for (Comparison.Pair pair : comparison.pairs()) {
            if (pair.changed()) {
                changed.addObject().put("id", pair.test().id()).put("right_in", pair.first().verdict().right()
                        ? comparison.first().label() : comparison.second().label());
            } else if (!pair.sameAnswer()) {
                others.add(pair.test().id());
            }
        }
        return node;
    }

    private static ObjectNode counts(String task, PairedCounts counts) {
        ObjectNode node = JSON.objectNode().put("task", task).put("cases", counts.cases())
                .put("both_right", counts.bothRight()).put("first_only", counts.firstOnly())
                .put("second_only", counts.secondOnly()).put("neither", counts.neither())
                .put("difference", counts.difference());
        node.set("interval", interval(counts.interval()));
        return node.put("p", counts.probabilityOfChance());
    }

    private static ArrayNode interval(Interval interval) {
        return JSON.arrayNode().add(interval.low()).add(interval.high());
    }

    private static String orNull(String text) {
        return text.isEmpty() ? null : text;
    }
}
