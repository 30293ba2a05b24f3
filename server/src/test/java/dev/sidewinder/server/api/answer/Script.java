package dev.sidewinder.server.api.answer;

import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.engine.TokenLogprobs;
import dev.sidewinder.server.api.ApiOptions;
import dev.sidewinder.server.api.Endpoint;
import dev.sidewinder.server.api.FakeModel;
import dev.sidewinder.server.api.FakeText;
import dev.sidewinder.server.api.GenerationCall;
import dev.sidewinder.server.api.GenerationPlan;
import dev.sidewinder.server.api.RequestReader;
import dev.sidewinder.server.api.ServedModel;
import dev.sidewinder.server.api.Tenant;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Random;

/// A request and what the engine says to it, in the order of this test. Plays the engine's part: indices, and no event
/// for a choice that was cancelled.
final class Script {

    record Step(int prompt, GenerationEvent event) {}

    private final List<Step> steps = new ArrayList<>();
    private final Map<Integer, Integer> next = new HashMap<>();
    private final FakeText text = new FakeText();
    final GenerationPlan plan;

    private Script(GenerationPlan plan) {
        this.plan = plan;
    }

    static Script of(Endpoint endpoint, String body) {
        return of(endpoint, body, ApiOptions.standard(), FakeModel.withText());
    }

    static Script of(Endpoint endpoint, String body, ApiOptions options, ServedModel model) {
        RequestReader reader = FakeModel.reader(options);
        byte[] bytes = body.getBytes(StandardCharsets.UTF_8);
        GenerationCall call = switch (endpoint) {
            case CHAT -> reader.chat(bytes);
            case COMPLETIONS -> reader.completion(bytes);
            case GENERATE -> reader.generate(bytes);
            case TOKENIZE, DETOKENIZE, CACHE_RESET, SESSION, SESSION_FORK -> throw new IllegalArgumentException("nothing is generated there");
        };
        return new Script(FakeModel.planner(model, options).plan(call, "req-1", Tenant.ANONYMOUS));
    }

    Script token(int prompt, int choice, int token, boolean stop) {
        int index = next.merge(prompt * 1_000 + choice, 1, Integer::sum) - 1;
        boolean scored = plan.requests().get(prompt).sampling().logprobs() >= 0;
        var logprobs = scored ? logprobs(token, index) : null;
        steps.add(new Step(prompt, new GenerationEvent.Token(choice, index, token, logprobs, stop)));
        return this;
    }

    static TokenLogprobs logprobs(int token, int index) {
        return new TokenLogprobs(-0.25f * (index + 1), new int[] {token, token == 300 ? 301 : 300},
                new float[] {-0.25f * (index + 1), Float.NEGATIVE_INFINITY});
    }

    /// The words in these texts are single tokens, everything else is one token per byte.
    Script say(int choice, String... texts) {
        for (String piece : texts) {
            if (FakeText.WORDS.contains(piece)) {
                token(0, choice, FakeText.word(piece), false);
            } else {
                for (int id : text.encode(piece, false)) {
                    token(0, choice, id, false);
                }
            }
        }
        return this;
    }

    Script stop(int choice) {
        token(0, choice, FakeText.TURN_END, true);
        return finish(0, choice, FinishReason.STOP);
    }

    Script length(int choice) {
        return finish(0, choice, FinishReason.LENGTH);
    }

    Script finish(int prompt, int choice, FinishReason reason) {
        return event(prompt, new GenerationEvent.Finished(choice, reason));
    }

    Script event(int prompt, GenerationEvent event) {
        steps.add(new Step(prompt, event));
        return this;
    }

    List<Step> steps() {
        return steps;
    }

    /// What goes over the wire, and which choices were cancelled.
    record Outcome(String text, List<String> cancelled, Usage usage) {}

    Outcome stream() {
        var out = new WireBuffer();
        var wire = new StringBuilder();
        List<String> cancelled = new ArrayList<>();
        try (var stream = new AnswerStream(plan.answer(), ids(), (p, c) -> cancelled.add(p + "/" + c), out)) {
            for (Step step : steps) {
                stream.assembler().accept(step.prompt(), step.event());
                wire.append(new String(out.toByteArray(), StandardCharsets.UTF_8));
                out.reset();
            }
            stream.assembler().failure().ifPresent(failure -> {
                stream.writeError(dev.sidewinder.server.api.ApiErrors.of(failure).error());
                wire.append(new String(out.toByteArray(), StandardCharsets.UTF_8));
            });
            return new Outcome(wire.toString(), cancelled, stream.assembler().usage());
        }
    }

    Outcome plain() {
        List<String> cancelled = new ArrayList<>();
        var answer = new PlainAnswer(plan.answer(), ids(), (p, c) -> cancelled.add(p + "/" + c));
        for (Step step : steps) {
            answer.assembler().accept(step.prompt(), step.event());
        }
        return new Outcome(new String(answer.toJson(), StandardCharsets.UTF_8), cancelled, answer.assembler().usage());
    }

    private static CallIds ids() {
        return new CallIds(new Random(7));
    }
}
