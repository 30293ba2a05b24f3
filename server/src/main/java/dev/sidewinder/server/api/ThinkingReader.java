package dev.sidewinder.server.api;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.OptionalInt;
import java.util.Set;

/// Reads everything that turns thinking on and off, and bounds it: three fields and the template variables, in their order
/// of precedence, and budgets.
final class ThinkingReader {

    private static final String KWARGS = "chat_template_kwargs";
    private static final int MAX_KWARGS_BYTES = 4 << 10;
    private static final int NO_BUDGET = -1;
    private static final Set<String> KNOWN = Set.of("enable_thinking", "truncate_history_thinking",
            "force_nonempty_content", "medium_effort", "low_effort");
    /// Names that the renderer itself sets.
    private static final Set<String> RESERVED = Set.of("messages", "tools", "documents", "tokenize",
            "add_generation_prompt", "continue_final_message", "bos_token", "eos_token", "pad_token", "unk_token",
            "chat_template", "raise_exception", "strftime_now", "namespace", "range", "loop");

    private final Problems problems;
    private final List<String> ignored;
    private final Map<String, JsonNode> variables = new LinkedHashMap<>();

    /// @param ignored takes the names of variables that have no effect
    ThinkingReader(Problems problems, List<String> ignored) {
        this.problems = problems;
        this.ignored = ignored;
    }

    /// Reads the template variables a request may set. Whether the template knows them is for the planner.
    Map<String, JsonNode> variables(Fields fields) {
        JsonNode kwargs = fields.json(KWARGS).orElse(null);
        if (kwargs == null) {
            return variables;
        }
        if (JsonSize.exceeds(kwargs, MAX_KWARGS_BYTES)) {
            problems.add("invalid_value", KWARGS, "'" + KWARGS + "' is larger than " + MAX_KWARGS_BYTES + " bytes.");
            return variables;
        }
        kwargs.properties().forEach(entry -> {
            String name = entry.getKey();
            String path = KWARGS + "." + Printable.cut(name);
            if (RESERVED.contains(name)) {
                problems.add("invalid_value", path, "'" + name + "' is set by the server and can not be a template variable.");
            } else if (!KNOWN.contains(name)) {
                ignored.add(KWARGS + "." + name);
            } else if (entry.getValue().isBoolean()) {
                variables.put(name, entry.getValue());
            } else if (!entry.getValue().isNull()) {
                problems.wrongType(path, "true or false");
            }
        });
        return variables;
    }

    /// Precedence: enable_thinking (field or variable), then `reasoning`, then `reasoning_effort`, then the default.
    ThinkingOptions thinking(Fields fields, ThinkingDefaults standard) {
        String effort = fields.text("reasoning.effort").or(() -> fields.text("reasoning_effort")).orElse("");
        boolean byEffort = effort.isEmpty() ? standard.enabled() : !effort.equals("none");
        boolean enabled = agreeing("enable_thinking", fields).or(() -> fields.flag("reasoning.enabled")).orElse(byEffort);
        boolean medium = enabled && effort.equals("medium");
        boolean nonempty = agreeing("force_nonempty_content", fields).orElse(true);
        return new ThinkingOptions(enabled, medium, budget(fields, effort, standard.budgets()),
                fields.flag("include_reasoning", true), nonempty);
    }

    /// An explicit budget replaces the one that the effort stands for, also by none at all (-1).
    private ThinkingOptions.Budget budget(Fields fields, String effort, ThinkingDefaults.EffortBudgets budgets) {
        OptionalInt grace = fields.integer("thinking_budget_grace");
        OptionalInt named = fields.integer("thinking_token_budget");
        OptionalInt alias = fields.integer("thinking_budget");
        if (named.isPresent() && alias.isPresent() && !named.equals(alias)) {
            problems.add("invalid_value", "thinking_budget",
                    "'thinking_budget' and 'thinking_token_budget' are the same and contradict each other.");
        }
        for (OptionalInt each : List.of(named, alias, fields.integer("reasoning.max_tokens"))) {
            if (each.isPresent()) {
                return new ThinkingOptions.Budget(each.getAsInt() == NO_BUDGET ? OptionalInt.empty() : each, grace, true);
            }
        }
        return new ThinkingOptions.Budget(switch (effort) {
            case "minimal" -> OptionalInt.of(budgets.minimal());
            case "low" -> OptionalInt.of(budgets.low());
            default -> OptionalInt.empty();
        }, grace, false);
    }

    /// A field that is also a template variable: both may be given when they agree.
    private Optional<Boolean> agreeing(String name, Fields fields) {
        Optional<Boolean> field = fields.flag(name);
        JsonNode variable = variables.get(name);
        if (field.isPresent() && variable instanceof BooleanNode && variable.booleanValue() != field.get()) {
            problems.add("invalid_value", name, "'" + name + "' and '" + KWARGS + "." + name + "' contradict each other.");
        }
        return field.or(() -> Optional.ofNullable(variable).map(JsonNode::booleanValue));
    }
}
