package dev.sidewinder.server.eval;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import java.util.HashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.stream.Collectors;

/// Results as tables for people. Texts of models stand in them as JSON, which shows line ends and control characters.
public final class ReportText {

    private static final int SHOWN_CHARS = 160;
    private static final int LEAST_TASK_WIDTH = 12;

    private final StringBuilder text = new StringBuilder();

    private ReportText() {}

    /// A table by task, and what was left out.
    public static String of(EvalRun run) {
        var report = new ReportText();
        report.heading(run);
        report.table(run.scored());
        report.json(run.scored());
        report.skipped(run);
        return report.text.toString();
    }

    /// Two runs side by side: a table by task, and the cases that changed.
    public static String of(EvalRun first, EvalRun second) {
        var report = new ReportText();
        Comparison comparison = Comparison.of(first, second);
        report.heading(first);
        report.heading(second);
        report.table(comparison);
        report.changes(comparison);
        report.skipped(first);
        report.skipped(second);
        return report.text.toString();
    }

    /// Wrong answers beside the right ones.
    ///
    /// @param most of each task
    public static String wrong(EvalRun run, int most) {
        var report = new ReportText();
        Map<String, Integer> shown = new HashMap<>();
        for (CaseResult.Scored result : run.scored()) {
            if (!result.verdict().right() && shown.merge(result.test().task(), 1, Integer::sum) <= most) {
                report.line("wrong %s (%s): %s", result.test().id(), run.label(), result.verdict().problem());
                report.line("  asked    %s", Texts.question(result.test()));
                report.line("  expected %s", shortened(Texts.of(result.test().expected())));
                report.line("  answered %s%s", shortened(Texts.of(result.answer())),
                        result.answer().finishReason().equals("length")
                                ? " and was cut off after " + result.answer().answerTokens() + " tokens" : "");
            }
        }
        return report.text.toString();
    }

    private void heading(EvalRun run) {
        ServerInfo server = run.server();
        line("%s: %,d cases in %.1f s%s%s%s", run.label(), run.results().size(), run.time().toMillis() / 1000.0,
                server.weights().isEmpty() ? "" : ", weights " + server.weights() + " (" + server.numberFormat() + ")",
                run.arithmetic().isEmpty() ? "" : ", arithmetic " + run.arithmetic(),
                server.version().isEmpty() ? "" : ", version " + server.version() + " (" + server.commit() + ")");
    }

    private void table(List<CaseResult.Scored> results) {
        if (results.isEmpty()) {
            return;
        }
        List<TaskSummary> tasks = TaskSummary.byTask(results);
        int width = width(tasks.stream().map(TaskSummary::task).toList());
        line("");
        line("%-" + width + "s %7s %7s %9s  %15s %8s", "task", "cases", "right", "accuracy", "95 % interval", "tokens");
        tasks.forEach(task -> row(width, task));
        row(width, TaskSummary.of(TaskSummary.ALL, results));
    }

    private void row(int width, TaskSummary task) {
        Interval interval = task.right().interval();
        line("%-" + width + "s %,7d %,7d %7.1f %%  %5.1f … %5.1f %% %8.1f", task.task(), task.right().cases(),
                task.right().right(), 100 * task.right().value(), 100 * interval.low(), 100 * interval.high(),
                task.answerTokens());
    }

    /// An answer that is JSON of another value and one that is no JSON are different faults.
    private void json(List<CaseResult.Scored> results) {
        for (TaskSummary task : TaskSummary.byTask(results)) {
            if (task.jsonAsked() > 0) {
                line("%n%s: %,d of %,d answers are JSON", task.task(), task.jsonValid(), task.jsonAsked());
            }
        }
    }

    private void table(Comparison comparison) {
        if (comparison.pairs().isEmpty()) {
            line("%nno case was answered by both");
            return;
        }
        Map<String, PairedCounts> tasks = comparison.byTask();
        int width = width(tasks.keySet());
        line("");
        line("%-" + width + "s %7s %17s %17s", "", "", comparison.first().label(), comparison.second().label());
        line("%-" + width + "s %7s %17s %17s %11s  %15s %8s", "task", "cases", "right", "right", "difference",
                "95 % interval", "p");
        tasks.forEach((task, counts) -> row(width, task, counts));
        row(width, TaskSummary.ALL, comparison.all());
    }

    private void row(int width, String task, PairedCounts counts) {
        Interval interval = counts.interval();
        line("%-" + width + "s %,7d %,8d %6.1f %% %,8d %6.1f %% %+11.2f  %+6.2f … %+6.2f %8.4f", task, counts.cases(),
                counts.first().right(), 100 * counts.first().value(), counts.second().right(),
                100 * counts.second().value(), 100 * counts.difference(), 100 * interval.low(), 100 * interval.high(),
                counts.probabilityOfChance());
    }

    private void changes(Comparison comparison) {
        List<Comparison.Pair> changed = comparison.pairs().stream().filter(Comparison.Pair::changed).toList();
        long others = comparison.pairs().stream().filter(pair -> !pair.changed() && !pair.sameAnswer()).count();
        line("%n%,d cases changed from right to wrong or back; %,d more have another answer and the same verdict",
                changed.size(), others);
        for (Comparison.Pair pair : changed) {
            line("%s: %s", pair.test().id(), pair.second().verdict().right() ? "wrong, then right" : "right, then wrong");
            line("  %s: %s", comparison.first().label(), shortened(Texts.of(pair.first().answer())));
            line("  %s: %s", comparison.second().label(), shortened(Texts.of(pair.second().answer())));
        }
    }

    private void skipped(EvalRun run) {
        run.skipped().forEach(result -> line("skipped %s (%s): %s", result.test().id(), run.label(), result.reason()));
    }

    private static int width(Iterable<String> tasks) {
        int width = LEAST_TASK_WIDTH;
        for (String task : tasks) {
            width = Math.max(width, task.length());
        }
        return width;
    }

    private static String shortened(String shown) {
        if (shown.length() <= SHOWN_CHARS) {
            return shown;
        }
        int end = Character.isHighSurrogate(shown.charAt(SHOWN_CHARS - 1)) ? SHOWN_CHARS - 1 : SHOWN_CHARS;
        return shown.substring(0, end) + "…";
    }

    private void line(String format, Object... values) {
        text.append(String.format(Locale.ROOT, format, values)).append(System.lineSeparator());
    }

    /// Answers and expectations in one line.
    private static final class Texts {

        private Texts() {}

        /// The end of the last message: what is asked stands behind what it is asked about.
        static String question(TestCase test) {
            String content = test.messages().get(test.messages().size() - 1).path("content").asText();
            int from = Math.max(0, content.length() - SHOWN_CHARS);
            if (from > 0 && Character.isLowSurrogate(content.charAt(from))) {
                from++;
            }
            return (from > 0 ? "…" : "") + quoted(content.substring(from));
        }

        static String of(Expectation expected) {
            return switch (expected) {
                case Expectation.Content content -> quoted(content.text());
                case Expectation.ContentWithoutCalls content -> quoted(content.text()) + " and no tool call";
                case Expectation.ToolCalls calls -> calls.calls().stream()
                        .map(call -> call.name() + call.arguments()).collect(Collectors.joining(", "));
                case Expectation.JsonContent json -> json.value().toString();
            };
        }

        static String of(Answer answer) {
            String calls = answer.calls().stream().map(call -> call.name() + printable(call.arguments()))
                    .collect(Collectors.joining(", "));
            return answer.content().isEmpty() && !calls.isEmpty() ? calls
                    : quoted(answer.content()) + (calls.isEmpty() ? "" : " and " + calls);
        }

        private static String quoted(String text) {
            return printable(JsonNodeFactory.instance.textNode(text).toString());
        }

        /// JSON leaves some control characters as they are; a terminal would obey them.
        private static String printable(String text) {
            return text.codePoints().mapToObj(c -> Character.isISOControl(c) ? String.format("\\u%04x", c)
                    : Character.toString(c)).collect(Collectors.joining());
        }
    }
}
