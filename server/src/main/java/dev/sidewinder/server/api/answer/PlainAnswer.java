package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.model.chat.OutputDelta;
import java.util.ArrayList;
import java.util.List;

/// An answer in one piece: hand events to [#assembler]; when it is complete, [#toJson] is the body. For one thread.
public final class PlainAnswer {

    private final AnswerPlan plan;
    private final AnswerAssembler assembler;
    private final List<CollectedChoice> choices = new ArrayList<>();
    private final TokenLogprobs[][] promptScores;
    private final CallIds ids;

    public PlainAnswer(AnswerPlan plan, CallIds ids, AnswerAssembler.Canceller canceller) {
        this.plan = plan;
        this.ids = ids;
        for (int i = 0; i < plan.totalChoices(); i++) {
            choices.add(new CollectedChoice());
        }
        promptScores = new TokenLogprobs[plan.prompts().size()][];
        assembler = new AnswerAssembler(plan, new Collector(), canceller);
    }

    public AnswerAssembler assembler() {
        return assembler;
    }

    /// The body.
    ///
    /// @throws IllegalStateException before the answer is complete
    public byte[] toJson() {
        if (!assembler.complete()) {
            throw new IllegalStateException("the answer is not complete");
        }
        return new PlainAnswerWriter(plan, choices, promptScores, assembler.usage()).write();
    }

    private final class Collector implements AnswerSink {

        @Override
        public void begin() {
            // nothing goes out before the end
        }

        @Override
        public void promptScored(int prompt, TokenLogprobs[] scores) {
            promptScores[prompt] = scores;
        }

        @Override
        public void delta(int index, OutputDelta delta, TokenReport report) {
            choices.get(index).take(delta, report, ids);
        }

        @Override
        public void end(int index, String finishReason, String tail, TokenReport report) {
            choices.get(index).end(finishReason, tail, report);
        }

        @Override
        public void complete(Usage usage) {
            // toJson asks for it
        }
    }
}
