package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.sidewinder.engine.FinishReason;
import dev.sidewinder.engine.GenerationEvent;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.chat.OutputDelta;
import dev.sidewinder.server.api.answer.AnswerStream;
import dev.sidewinder.server.api.answer.CallIds;
import dev.sidewinder.server.api.answer.WireBuffer;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;

/// The surface over a real model: its tokenizer, its template, its vocabulary.
class ServedModelTest {

    private static final int MAX_MODEL_TOKENS = 2_048;

    private static Model model;
    private static ServedModel served;

    @BeforeAll
    static void open() {
        model = Model.open("synthetic:demo");
        served = ServedModel.of(model, List.of("demo"), MAX_MODEL_TOKENS, "test", ThinkingDefaults.standard());
    }

    @AfterAll
    static void close() {
        model.close();
    }

    @Test
    void rendersAndTokenizesAConversation() {
        GenerationPlan plan = plan("{\"messages\":[{\"role\":\"user\",\"content\":\"Hello <|im_end|> there\"}],\"max_tokens\":4}");

        int[] prompt = plan.requests().getFirst().prompt();
        String text = served.text().orElseThrow().decode(prompt, false);
        assertThat(text).contains("Hello <|im_end|> there").endsWith("<think>\n");
        int turnEnd = model.tokenizer().orElseThrow().idOf("<|im_end|>").orElseThrow();
        // one behind the system turn, one behind the user's; the user's own spelling is text
        assertThat(Arrays.stream(prompt).filter(id -> id == turnEnd)).hasSize(2);
        assertThat(plan.requests().getFirst().stopTokens()).isEqualTo(model.generationConfig().stopTokenIds());
    }

    @Test
    void theAnswerStartsWhereThePromptEnds() {
        String start = "{\"messages\":[{\"role\":\"user\",\"content\":\"say <think>\"}";
        assertThat(firstDelta(start + "]}")).isInstanceOf(OutputDelta.Reasoning.class);
        assertThat(firstDelta(start + "],\"enable_thinking\":false}")).isInstanceOf(OutputDelta.Content.class);
        assertThat(firstDelta(start + ",{\"role\":\"assistant\",\"content\":\"so far\"}],\"continue_final_message\":true}"))
                .isInstanceOf(OutputDelta.Content.class);
    }

    private static OutputDelta firstDelta(String body) {
        return plan(body).answer().chat().orElseThrow().parsers().get().accept(40, "x").getFirst();
    }

    @Test
    void streamsWhateverTheVocabularyHolds() {
        int vocabSize = model.config().vocabSize();
        Random random = new Random(11);
        for (int round = 0; round < 50; round++) {
            GenerationPlan plan = plan("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"stream\":true,\"logprobs\":false,"
                    + "\"return_token_ids\":true,\"max_tokens\":200,\"enable_thinking\":" + (round % 2 == 0) + "}");
            var out = new WireBuffer();
            try (var stream = new AnswerStream(plan.answer(), new CallIds(random), (_, _) -> { }, out)) {
                for (int i = 0; i < 200; i++) {
                    stream.assembler().accept(0, new GenerationEvent.Token(0, i, random.nextInt(vocabSize), null, false));
                }
                stream.assembler().accept(0, new GenerationEvent.Finished(0, FinishReason.LENGTH));
                assertThat(stream.assembler().complete()).isTrue();
                assertThat(stream.assembler().usage().completionTokens()).isEqualTo(200);
            }
            assertThat(new String(out.toByteArray(), StandardCharsets.UTF_8)).endsWith("data: [DONE]\n\n")
                    .contains("\"finish_reason\":\"length\"");
        }
    }

    @Test
    void aStrictSchemaThatCannotBeKeptIsRefusedWithItsKeyword() {
        String tools = "{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\","
                + "\"strict\":%s,\"parameters\":{\"type\":\"object\",\"properties\":{\"p\\u202e\":{\"type\":\"string\",\"pattern\":\"a+\"}}}}}]}";
        ApiException refused = catchThrowableOfType(ApiException.class, () -> plan(tools.formatted("true")));

        assertThat(refused.error().status()).isEqualTo(400);
        assertThat(refused.error().code()).isEqualTo("invalid_json_schema");
        assertThat(refused.error().param()).isEqualTo("tools");
        assertThat(refused.error().message()).contains("tool 'f'", "properties.p?:", "'pattern' cannot be enforced");
        // not asked to be strict, it is for the template only
        assertThat(plan(tools.formatted("false")).requests()).hasSize(1);
        assertThat(plan(tools.formatted("true").replace("\"tools\"", "\"tool_choice\":\"none\",\"tools\"")).requests()).hasSize(1);
    }

    @Test
    void theFingerprintIsShortAndChangesWithTheBuild() {
        ServedModel other = ServedModel.of(model, List.of("demo"), MAX_MODEL_TOKENS, "another build", ThinkingDefaults.standard());

        assertThat(served.fingerprint()).matches("fp_[0-9a-f]{12}").isNotEqualTo(other.fingerprint());
    }

    private static GenerationPlan plan(String body) {
        var reader = new RequestReader(ApiOptions.standard(), MAX_MODEL_TOKENS, served.vocabSize());
        var planner = new RequestPlanner(served, ApiOptions.standard(), () -> 1, InstantSource.system(),
                Optional.empty());
        return planner.plan(reader.chat(body.getBytes(StandardCharsets.UTF_8)), "req", Tenant.ANONYMOUS);
    }
}
