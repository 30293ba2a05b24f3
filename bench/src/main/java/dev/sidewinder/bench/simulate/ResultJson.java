package dev.sidewinder.bench.simulate;

import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.util.List;
import java.util.Locale;

/// Results for programs: everything as JSON, the timeline as CSV. Equal runs give equal text.
final class ResultJson {

    private static final JsonMapper MAPPER = new JsonMapper();

    private ResultJson() {}

    /// @param heading what was simulated
    static String of(Heading heading, List<SimulationResult> results) {
        ObjectNode root = MAPPER.createObjectNode();
        root.put("model", heading.model()).put("traffic", heading.traffic()).put("bounds", heading.bounds());
        var runs = root.putArray("runs");
        for (SimulationResult result : results) {
            add(runs.addObject(), result);
        }
        return root.toPrettyString() + "\n";
    }

    private static void add(ObjectNode node, SimulationResult result) {
        node.put("policy", result.policy().name());
        for (GroupStats group : result.groups()) {
            add(node.withObject("/groups").putObject(group.name()), group);
        }
        ObjectNode tenants = node.putObject("tenants");
        for (GroupStats tenant : result.tenants()) {
            add(tenants.putObject(tenant.name()), tenant);
        }
        node.putObject("tokens_per_second").put("generated", result.rates().generated())
                .put("prompt_computed", result.rates().computedPrompt()).put("prompt_reused", result.rates().reusedPrompt());
        SimulationResult.Work work = result.work();
        node.putObject("device").put("steps", work.steps()).put("generated_seconds", work.generatedSeconds())
                .put("prompt_seconds", work.promptSeconds()).put("mixed_seconds", work.mixedSeconds()).put("copy_seconds", work.copySeconds())
                .put("late_completions", work.lateCompletions()).put("suspensions", work.suspensions())
                .put("preparations", work.preparations().done()).put("prepared_tokens", work.preparations().tokens()).put("end_seconds", result.endSeconds());
        var counts = result.cache().counts();
        node.putObject("caches").put("lookups", counts.lookups()).put("hits", counts.hits()).put("stored_states", counts.storedStates())
                .put("refused_states", counts.refusedStates()).put("evicted_states", counts.evictedStates())
                .put("moved_blocks", result.cache().frames().movedBlocks());
    }

    private static void add(ObjectNode node, GroupStats group) {
        node.put("finished", group.finished).put("refused", group.refused).put("prompt_tokens", group.promptTokens)
                .put("reused_tokens", group.reusedTokens).put("history_tokens", group.historyTokens)
                .put("reused_history_tokens", group.reusedHistoryTokens).put("generated_tokens", group.generatedTokens);
        ObjectNode turns = node.putObject("reuse_by_turn");
        for (int i = 0; i < ReuseByTurn.TURNS.size(); i++) {
            add(turns, ReuseByTurn.TURNS.get(i).name(), group.reuse.byTurn().get(i));
        }
        add(node, "reuse_after_users", group.reuse.afterUsers());
        add(node, "reuse_after_tools", group.reuse.afterTools());
        add(node, "first_token_seconds", group.firstTokenSeconds);
        add(node, "gap_seconds", group.gapSeconds);
        add(node, "longest_gap_seconds", group.longestGapSeconds);
        add(node, "request_seconds", group.requestSeconds);
    }

    private static void add(ObjectNode node, String name, ReuseByTurn.Tokens tokens) {
        node.putObject(name).put("brought_tokens", tokens.brought).put("reused_tokens", tokens.reused);
    }

    private static void add(ObjectNode node, String name, Samples samples) {
        if (samples.size() == 0) {
            return;
        }
        node.putObject(name).put("mean", samples.mean()).put("p50", samples.percentile(50)).put("p90", samples.percentile(90))
                .put("p99", samples.percentile(99)).put("p999", samples.percentile(99.9)).put("max", samples.max());
    }

    /// The timeline of one run.
    static String timelineCsv(SimulationResult result) {
        var csv = new StringBuilder("from_seconds,running,waiting,suspended,running_states,running_kv,kept_states,kept_kv,fenced,free,"
                + "generated_per_second,prompt_computed_per_second,prompt_reused_per_second,gap_p50,gap_p99,first_token_p50,first_token_p99\n");
        for (Timeline.Point point : result.timeline()) {
            csv.append(String.format(Locale.ROOT, "%.3f,%.3f,%.3f,%.3f", point.fromSeconds(), point.running(), point.waiting(), point.suspended()));
            for (double part : point.memory().parts()) {
                csv.append(String.format(Locale.ROOT, ",%.5f", part));
            }
            for (double value : new double[] {point.generated(), point.computedPrompt(), point.reusedPrompt(), point.gap50(), point.gap99(),
                point.firstToken50(), point.firstToken99()}) {
                csv.append(Double.isNaN(value) ? "," : String.format(Locale.ROOT, ",%.5g", value));
            }
            csv.append('\n');
        }
        return csv.toString();
    }
}
