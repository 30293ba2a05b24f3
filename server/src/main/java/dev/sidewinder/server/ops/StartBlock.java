package dev.sidewinder.server.ops;

import dev.sidewinder.engine.MemoryPlan;
import dev.sidewinder.model.config.LayerSpec;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.server.settings.ServerConfig;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// The block of lines that tells an operator what was started.
final class StartBlock {

    private StartBlock() {}

    static List<String> lines(RunningModel served, ServerConfig config, String address, long nanos) {
        ModelConfig model = served.model().config();
        MemoryPlan plan = served.plan();
        List<String> lines = new ArrayList<>();
        lines.add("model    " + String.join(", ", served.names()) + ": " + layers(model) + ", weights "
                + served.model().numberFormat() + ", vocabulary " + model.vocabSize() + ", revision " + served.served().fingerprint());
        lines.add("backend  " + served.backend());
        served.planned().note().ifPresent(note -> lines.add("note     " + note));
        served.planned().memory().ifPresent(memory -> lines.add("memory   " + memory));
        plan.lines().forEach(line -> lines.add("cache    " + line));
        lines.add("limits   " + plan.maxModelTokens() + " tokens a sequence, " + plan.maxSequences() + " running, "
                + config.work().queuedRequests() + " waiting, steps of " + served.planned().batchTokens() + " tokens");
        if (served.model().synthetic()) {
            lines.add("note     the weights are random: so are the words");
        }
        if (served.model().tokenizer().isEmpty()) {
            lines.add("note     the model has no tokenizer: it takes and gives token ids only, and no chats");
        } else if (served.model().chatTemplate().isEmpty()) {
            lines.add("note     the model has no chat template: it takes completions, and no chats");
        }
        lines.add(String.format(Locale.ROOT, "ready    %s after %.2f s", address, nanos / 1e9));
        return lines;
    }

    private static String layers(ModelConfig model) {
        int mamba = 0;
        int experts = 0;
        int attention = 0;
        int dense = 0;
        for (LayerSpec layer : model.layers()) {
            switch (layer) {
                case LayerSpec.Mamba m -> mamba++;
                case LayerSpec.Experts e -> experts++;
                case LayerSpec.Attention a -> attention++;
                case LayerSpec.Mlp d -> dense++;
            }
        }
        return model.layers().size() + " layers (" + mamba + " Mamba, " + experts + " experts, " + attention
                + " attention, " + dense + " dense) of width " + model.hiddenSize();
    }
}
