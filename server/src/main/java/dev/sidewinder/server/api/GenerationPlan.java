package dev.sidewinder.server.api;

import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.server.api.answer.AnswerPlan;
import java.util.List;

/// A request, ready for the engine.
///
/// @param requests one per prompt, in order; choice `c` of prompt `p` is choice `p x n + c` of the answer
/// @param answer   how to make the answer from what the engine says
public record GenerationPlan(List<GenerationRequest> requests, AnswerPlan answer) {
    public GenerationPlan {
        requests = List.copyOf(requests);
    }

    /// The same with the state kept at the end of each answer.
    GenerationPlan keepingAnswers() {
        return new GenerationPlan(requests.stream().map(GenerationRequest::keepingAnswer).toList(), answer);
    }
}
