package dev.sidewinder.model.checkpoint;

/// The spellings of tensor names that checkpoints of the family use.
public final class TensorNames {

    private TensorNames() {}

    /// The publisher's spelling: root `backbone.`, embedding `embeddings`, no prefix of a multimodal wrapper.
    ///
    /// Transformers 5 re-saves the root as `model.`; wrappers put `language_model.` in front of everything.
    public static String canonical(String name) {
        String rest = name.startsWith("language_model.") ? name.substring("language_model.".length()) : name;
        if (rest.startsWith("model.")) {
            rest = "backbone." + rest.substring("model.".length());
        }
        for (String spelling : new String[] {"backbone.embedding.", "backbone.embed_tokens."}) {
            if (rest.startsWith(spelling)) {
                return "backbone.embeddings." + rest.substring(spelling.length());
            }
        }
        return rest;
    }

    /// Whether a canonical name belongs to the multi-token prediction block.
    static boolean isDraft(String canonical) {
        return canonical.startsWith("mtp.");
    }
}
