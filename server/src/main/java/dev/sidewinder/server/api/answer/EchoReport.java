package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.server.api.ModelText;
import dev.sidewinder.model.tokenizer.TokenDecoder;

/// The tokens of an echoed prompt, reported like generated ones.
final class EchoReport {

    private EchoReport() {}

    /// @param scores one per prompt token; null when none were asked for
    static TokenReport of(AnswerPlan plan, AnswerPlan.PromptInfo prompt, TokenLogprobs[] scores) {
        var report = new TokenReport();
        TokenDecoder decoder = plan.text().map(text -> decoder(text, plan)).orElse(null);
        int chars = 0;
        for (int i = 0; i < prompt.tokens().length; i++) {
            report.add(prompt.tokens()[i], scores == null ? null : scores[i], chars);
            if (decoder != null) {
                String text = decoder.accept(prompt.tokens()[i]);
                chars += text.codePointCount(0, text.length());
            }
        }
        return report;
    }

    private static TokenDecoder decoder(ModelText text, AnswerPlan plan) {
        return text.decoder(plan.output().skipSpecialTokens());
    }

    /// Characters that the echoed prompt takes in the text.
    static int chars(AnswerPlan plan, AnswerPlan.PromptInfo prompt) {
        boolean echoed = plan.output().echo() && prompt.text() != null;
        return echoed ? prompt.text().codePointCount(0, prompt.text().length()) : 0;
    }
}
