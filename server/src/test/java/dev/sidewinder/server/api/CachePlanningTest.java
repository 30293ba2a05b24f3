package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.catchThrowableOfType;

import dev.sidewinder.engine.GenerationRequest;
import dev.sidewinder.kvcache.CheckpointPoint;
import dev.sidewinder.kvcache.Partition;
import dev.sidewinder.scheduler.Mark;
import java.nio.charset.StandardCharsets;
import java.time.InstantSource;
import java.util.List;
import java.util.Optional;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.EnumSource;

/// What a request says about the prefix cache, and what the engine gets of it.
class CachePlanningTest {

    private static final Tenant ALICE = new Tenant("alice");
    private static final Tenant BOB = new Tenant("bob");

    private final ServedModel model = FakeModel.withText();
    private final RequestPlanner planner = FakeModel.planner(model, ApiOptions.standard());

    private static GenerationCall read(Endpoint endpoint, String fields) {
        RequestReader reader = FakeModel.reader(ApiOptions.standard());
        return switch (endpoint) {
            case CHAT -> reader.chat(bytes("{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}]" + fields + "}"));
            case COMPLETIONS -> reader.completion(bytes("{\"prompt\":\"hello\"" + fields + "}"));
            case GENERATE -> reader.generate(bytes("{\"prompt\":\"hello\"" + fields + "}"));
            case TOKENIZE, DETOKENIZE, CACHE_RESET, SESSION, SESSION_FORK -> throw new IllegalArgumentException("nothing is generated there");
        };
    }

    private static byte[] bytes(String body) {
        return body.getBytes(StandardCharsets.UTF_8);
    }

    private GenerationPlan plan(Endpoint endpoint, String fields, Tenant tenant) {
        return planner.plan(read(endpoint, fields), "req", tenant);
    }

    private Partition partition(Endpoint endpoint, String fields, Tenant tenant) {
        return plan(endpoint, fields, tenant).requests().getFirst().partition().orElseThrow();
    }

    @ParameterizedTest
    @EnumSource(names = {"CHAT", "COMPLETIONS", "GENERATE"})
    void tenantAndSaltChooseThePartition(Endpoint endpoint) {
        assertThat(partition(endpoint, "", ALICE)).isEqualTo(partition(endpoint, ",\"cache_salt\":null", ALICE));
        assertThat(partition(endpoint, "", ALICE)).isNotEqualTo(partition(endpoint, "", BOB));
        assertThat(partition(endpoint, ",\"cache_salt\":\"s\"", ALICE)).isEqualTo(partition(endpoint, ",\"cache_salt\":\"s\"", ALICE))
                .isNotEqualTo(partition(endpoint, "", ALICE)).isNotEqualTo(partition(endpoint, ",\"cache_salt\":\"s\"", BOB))
                .isNotEqualTo(partition(endpoint, ",\"cache_salt\":\"t\"", ALICE));
    }

    @Test
    void hintsChooseNoPartition() {
        Partition plain = partition(Endpoint.CHAT, "", ALICE);
        assertThat(partition(Endpoint.CHAT, ",\"prompt_cache_key\":\"k\",\"user\":\"u\"", ALICE)).isEqualTo(plain);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', value = {
        ",\"cache_salt\":\"\" ~ string_below_min_length ~ cache_salt",
        ",\"cache_salt\":7 ~ invalid_type ~ cache_salt",
        ",\"cache_explain\":\"yes\" ~ invalid_type ~ cache_explain",
        ",\"priority\":1001 ~ integer_above_max_value ~ priority",
        ",\"priority\":-1001 ~ integer_below_min_value ~ priority",
    })
    void refusesWhatIsNone(String fields, String code, String param) {
        for (Endpoint endpoint : List.of(Endpoint.CHAT, Endpoint.COMPLETIONS)) {
            ApiException refused = catchThrowableOfType(ApiException.class, () -> read(endpoint, fields));
            assertThat(refused.error().code()).isEqualTo(code);
            assertThat(refused.error().param()).isEqualTo(param);
        }
    }

    @Test
    void takesASaltOf256Characters() {
        assertThat(partition(Endpoint.CHAT, ",\"cache_salt\":\"" + "é".repeat(256) + "\"", ALICE)).isNotNull();
        ApiException refused = catchThrowableOfType(ApiException.class,
                () -> read(Endpoint.CHAT, ",\"cache_salt\":\"" + "é".repeat(257) + "\""));
        assertThat(refused.error().code()).isEqualTo("string_above_max_length");
        assertThat(refused.error().message()).as("a salt is a secret").doesNotContain("é");
    }

    @Test
    void whoWantsTheScoresOfAPromptUsesNoPrefix() {
        assertThat(plan(Endpoint.CHAT, ",\"prompt_logprobs\":0", ALICE).requests().getFirst().partition()).isEmpty();
        assertThat(plan(Endpoint.COMPLETIONS, ",\"echo\":true,\"logprobs\":1,\"max_tokens\":0", ALICE).requests().getFirst().partition())
                .as("an echo with log-probabilities scores the prompt").isEmpty();
        assertThat(plan(Endpoint.COMPLETIONS, ",\"echo\":true", ALICE).requests().getFirst().partition()).isPresent();
    }

    @Test
    void noRequestUsesPrefixesWhereTheServerDoesNot() {
        var without = new RequestPlanner(model, ApiOptions.standard(), () -> 1, InstantSource.system(), Optional.empty());
        assertThat(without.plan(read(Endpoint.CHAT, ""), "req", ALICE).requests().getFirst().partition()).isEmpty();
    }

    @Test
    void marksAConversationWhereOthersGoOn() {
        var chat = FakeModel.reader(ApiOptions.standard()).chat(bytes("""
                {"messages":[{"role":"system","content":"s"},{"role":"user","content":"q"}]}"""));
        GenerationRequest request = planner.plan(chat, "req", ALICE).requests().getFirst();

        assertThat(request.marks()).extracting(Mark::point).containsExactly(CheckpointPoint.SYSTEM, CheckpointPoint.TURN_START);
        for (Mark mark : request.marks()) {
            assertThat(request.prompt()[mark.position()]).as("the token that opens a turn").isEqualTo(10);
        }
    }

    @Test
    void marksTheEndOfATextAndOfEachOfSeveral() {
        List<GenerationRequest> requests = planner.plan(
                FakeModel.reader(ApiOptions.standard()).completion(bytes("{\"prompt\":[\"ab\",\"abc\"]}")), "req", ALICE).requests();
        assertThat(requests.get(0).marks()).containsExactly(new Mark(2, CheckpointPoint.TURN_START));
        assertThat(requests.get(1).marks()).containsExactly(new Mark(3, CheckpointPoint.TURN_START));
    }

    @ParameterizedTest
    @CsvSource({"100, 1", "150, 2"})
    void marksTheEndOfALongContinuedMessage(int letters, int marks) {
        var chat = FakeModel.reader(ApiOptions.standard()).chat(bytes("""
                {"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"%s"}],"continue_final_message":true,
                "add_generation_prompt":false,"max_tokens":1}""".formatted("x".repeat(letters))));
        GenerationRequest request = planner.plan(chat, "req", ALICE).requests().getFirst();

        assertThat(request.marks()).hasSize(marks);
        assertThat(request.prompt().length - request.marks().getLast().position()).isLessThan(128);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '~', value = {
        " ~ false",
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}] ~ true",
        ",\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}],\"tool_choice\":\"none\" ~ false",
        ",\"enable_thinking\":false ~ true",
        ",\"chat_template_kwargs\":{\"truncate_history_thinking\":false} ~ true",
        ",\"chat_template_kwargs\":{\"truncate_history_thinking\":true} ~ false",
    })
    void keepsTheEndOfAnAnswerWhereTheNextPromptHasIt(String fields, boolean keeps) {
        assertThat(plan(Endpoint.CHAT, fields == null ? "" : fields, ALICE).requests().getFirst().keepsAnswer()).isEqualTo(keeps);
    }

    @ParameterizedTest
    @CsvSource({"-7, -7", "-8, -7", "-1000, -7", "5, 5"})
    void raisesAPriorityToTheFloorOfItsTenant(int asked, int got) {
        Tenant held = new Tenant("held", 1, -7);
        assertThat(plan(Endpoint.COMPLETIONS, ",\"priority\":" + asked, held).requests().getFirst().priority()).isEqualTo(got);
        assertThat(plan(Endpoint.COMPLETIONS, ",\"priority\":" + asked, ALICE).requests().getFirst().priority()).isEqualTo(asked);
    }

    @Test
    void handsOnPriorityTenantAndTheWishToKnow() {
        GenerationRequest request = plan(Endpoint.COMPLETIONS, ",\"priority\":-7,\"cache_explain\":true", BOB).requests().getFirst();
        assertThat(request.priority()).isEqualTo(-7);
        assertThat(request.tenant()).isEqualTo("bob");
        assertThat(request.explainCache()).isTrue();
        assertThat(plan(Endpoint.CHAT, "", BOB).requests().getFirst().explainCache()).isFalse();
    }
}
