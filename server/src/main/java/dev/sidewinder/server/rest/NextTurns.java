package dev.sidewinder.server.rest;

import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.scheduler.Mark;
import dev.sidewinder.scheduler.Preparation;
import dev.sidewinder.server.api.ChatCompletionRequest;
import dev.sidewinder.server.api.GenerationPlan;
import dev.sidewinder.server.api.answer.AnswerAssembler;
import dev.sidewinder.server.ops.RunningModel;
import dev.sidewinder.server.settings.ServerConfig;

/// Has the engine compute what the next turn of a conversation will begin with, where that is not what was generated: templates drop the
/// reasoning of a turn, of all its calls of tools, when the user speaks again. Called when the answer is out, on the request's own thread.
final class NextTurns {

    private final boolean enabled;

    NextTurns(ServerConfig config) {
        enabled = config.cache().prefixes() && config.cache().nextTurns();
    }

    /// Not for those that keep nothing, whose answer was not complete or calls a tool, and not where little would be saved.
    ///
    /// @param answered null when there was no answer
    void prepare(RunningModel model, ChatCompletionRequest chat, GenerationPlan plan, AnswerAssembler answered) {
        GenerationRequest request = plan.requests().getFirst();
        if (!enabled || answered == null || request.partition().isEmpty()
                || tokensOfTurn(request) + answered.usage().completionTokens() < Preparation.LEAST_TOKENS) {
            return;
        }
        answered.content().flatMap(answer -> model.planner().nextTurnBeginning(chat, answer))
                .ifPresent(tokens -> model.engine().prepare(new Preparation(request.partition().get(), tokens, Preparation.LEAST_TOKENS)));
    }

    /// Tokens of the prompt behind the latest message of a user: what stands before is rendered next time as it was now.
    private static int tokensOfTurn(GenerationRequest request) {
        for (Mark mark : request.marks()) {
            if (mark.point() == CheckpointPoint.TURN_START) {
                return request.prompt().length - mark.position();
            }
        }
        return 0;
    }
}
