package dev.sidewinder.server.api;

import dev.sidewinder.model.Model;
import dev.sidewinder.model.chat.AnswerGuides;
import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.config.GenerationConfig;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.HexFormat;
import java.util.List;
import java.util.Optional;

/// The model behind the routes.
///
/// @param names          served name and aliases; the first is the name
/// @param vocabSize      token ids are in `[0, vocabSize)`
/// @param maxModelTokens prompt and answer of one sequence at most
/// @param defaults       stop set and sampling where a request is silent
/// @param text           absent for a checkpoint without tokenizer: token ids only
/// @param chat           absent without tokenizer or chat template
/// @param fingerprint    changes with build, weights or number format
public record ServedModel(List<String> names, int vocabSize, int maxModelTokens, GenerationConfig defaults,
        Optional<ModelText> text, Optional<ChatFormat> chat, String fingerprint) {

    private static final int FINGERPRINT_BYTES = 6;

    public ServedModel {
        names = List.copyOf(names);
        if (names.isEmpty()) {
            throw new IllegalArgumentException("a served model needs a name");
        }
    }

    /// The view of an opened model that requests and answers need.
    ///
    /// @param build    version and commit of this program, part of the fingerprint
    /// @param thinking says what closes reasoning
    public static ServedModel of(Model model, List<String> names, int maxModelTokens, String build, ThinkingDefaults thinking) {
        Optional<ModelText> text = model.tokenizer().map(TokenizerText::new);
        Optional<ChatFormat> chat = model.tokenizer().flatMap(tokenizer -> model.chatTemplate()
                .map(template -> chat(model, tokenizer, template, thinking.closingText())));
        return new ServedModel(names, model.config().vocabSize(), maxModelTokens, model.generationConfig(), text, chat,
                fingerprint(build, model));
    }

    private static ChatFormat chat(Model model, Tokenizer tokenizer, ChatTemplate template, String closingText) {
        ControlTokens control = ControlTokens.of(tokenizer);
        return new NemotronChat(template, control,
                new AnswerGuides(tokenizer, control, model.config().vocabSize(), closingText));
    }

    /// Changes with build, weights or number format; short, as every chunk carries it.
    private static String fingerprint(String build, Model model) {
        try {
            byte[] digest = MessageDigest.getInstance("SHA-256").digest(
                    (build + '\n' + model.fingerprint() + '\n' + model.numberFormat()).getBytes(StandardCharsets.UTF_8));
            return "fp_" + HexFormat.of().formatHex(digest, 0, FINGERPRINT_BYTES);
        } catch (NoSuchAlgorithmException e) {
            throw new IllegalStateException("every Java platform has SHA-256", e);
        }
    }

    /// The name answers carry: the one asked for, or the first of ours.
    ///
    /// @throws ApiException 404 when it is not served here
    public String resolve(Optional<String> asked) {
        if (asked.isPresent() && !names.contains(asked.get())) {
            throw ApiErrors.modelNotFound(asked.get());
        }
        return asked.orElse(names.getFirst());
    }

    /// @throws ApiException 400 that says how to go on with token ids
    ModelText textFor(String param) {
        return text.orElseThrow(() -> ApiErrors.invalid("unsupported_value", param, "'" + param
                + "' needs a tokenizer, and this model has none. Send token ids: POST /v1/completions with "
                + "\"prompt\":[1,2,3], or POST /generate with \"token_ids\":[1,2,3]."));
    }

    ChatFormat chatFor(String param) {
        textFor(param);
        return chat.orElseThrow(() -> ApiErrors.invalid("unsupported_value", param,
                "This model has no chat template. Send a text or token ids to /v1/completions."));
    }
}
