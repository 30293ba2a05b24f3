package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.model.chat.OutputDelta;

/// Takes an answer as it comes to be. Indices count choices over all prompts.
interface AnswerSink {

    /// Comes once, before everything else.
    void begin();

    /// @param logprobs one per prompt token; the first is null
    void promptScored(int prompt, TokenLogprobs[] logprobs);

    /// @param report tokens since the last call for this choice; valid during the call
    void delta(int index, OutputDelta delta, TokenReport report);

    /// Nothing follows for this choice.
    ///
    /// @param tail   text that came with the last token; only for a sink that wants every token
    /// @param report tokens since the last call for this choice; valid during the call
    void end(int index, String finishReason, String tail, TokenReport report);

    /// All choices have ended.
    void complete(Usage usage);
}
