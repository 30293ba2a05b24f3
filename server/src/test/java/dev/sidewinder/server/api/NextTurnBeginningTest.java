package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.model.chat.AnswerGuides;
import dev.sidewinder.model.chat.ChatTemplate;
import dev.sidewinder.model.config.GenerationConfig;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/// What the next prompt of a conversation begins with, with the template and the tokenizer of `models/tiny`.
class NextTurnBeginningTest {

    private static final Path FOLDER = Path.of("../models/tiny");
    private static final int MOST_TOKENS = 4096;
    private static final String QUESTION = "{\"role\":\"user\",\"content\":\"Which room?\"}";
    private static final String LOOP = QUESTION + """
            ,{"role":"assistant","content":"","reasoning":"I have to look.","tool_calls":[{"id":"c","type":"function","function":{"name":"look","arguments":"{}"}}]}
            ,{"role":"tool","tool_call_id":"c","content":"the blue one"}""";

    private static Tokenizer tokenizer;
    private static String template;

    @BeforeAll
    static void open() throws IOException {
        tokenizer = Tokenizer.open(FOLDER.resolve("tokenizer.json"));
        template = Files.readString(FOLDER.resolve("chat_template.jinja"));
    }

    @AfterAll
    static void close() {
        tokenizer.close();
    }

    private static RequestPlanner planner(String template) {
        ControlTokens control = ControlTokens.of(tokenizer);
        ChatFormat format = new NemotronChat(ChatTemplate.compile("t", template), control,
                new AnswerGuides(tokenizer, control, tokenizer.vocabSize(), AnswerGuides.CLOSING_TEXT));
        var model = new ServedModel(List.of("tiny"), tokenizer.vocabSize(), MOST_TOKENS, new GenerationConfig(Set.of(2), 0.6, 0.95, 0),
                Optional.of(new TokenizerText(tokenizer)), Optional.of(format), "fp_test");
        return FakeModel.planner(model, ApiOptions.standard());
    }

    private static ChatCompletionRequest chat(String messages, String more) {
        return new RequestReader(ApiOptions.standard(), MOST_TOKENS, tokenizer.vocabSize())
                .chat(("{\"messages\":[" + messages + "]" + more + "}").getBytes(StandardCharsets.UTF_8));
    }

    private static int[] prompt(RequestPlanner planner, String messages) {
        return planner.plan(chat(messages, ""), "req", Tenant.ANONYMOUS).requests().getFirst().prompt();
    }

    @ParameterizedTest
    @ValueSource(strings = {"The blue room.", "", "  spaces \u00e9\u4e2d around  ", "<|im_end|>", "</think>so"})
    void theNextPromptBeginsWithItWhateverTheUserSays(String answer) throws IOException {
        RequestPlanner planner = planner(template);

        int[] beginning = planner.nextTurnBeginning(chat(LOOP, ""), answer).orElseThrow();

        for (String next : List.of("Thanks.", "", "\\n\\n?", "<|im_start|>")) {
            String quoted = new ObjectMapper().writeValueAsString(answer);
            int[] prompt = prompt(planner, LOOP + ",{\"role\":\"assistant\",\"content\":" + quoted + "},{\"role\":\"user\",\"content\":\"" + next + "\"}");
            assertThat(Arrays.copyOf(prompt, beginning.length)).as("before \"%s\"", next).isEqualTo(beginning);
            assertThat(prompt[beginning.length]).as("the turn of the user opens there").isEqualTo(prompt[0]);
        }
    }

    /// Why it has to be computed at all.
    @Test
    void thePromptOfTheLoopItselfDoesNot() {
        RequestPlanner planner = planner(template);
        int[] beginning = planner.nextTurnBeginning(chat(LOOP, ""), "The blue room.").orElseThrow();
        int[] loop = prompt(planner, LOOP);

        int common = Arrays.mismatch(beginning, loop);

        assertThat(common).as("they part where the reasoning stood").isPositive().isLessThan(loop.length - 20);
        assertThat(tokenizer.decode(loop, false)).contains("I have to look.");
        assertThat(tokenizer.decode(beginning, false)).doesNotContain("I have to look.");
    }

    @ParameterizedTest
    @ValueSource(strings = {",\"add_generation_prompt\":false,\"max_tokens\":1",
        ",\"add_generation_prompt\":false,\"continue_final_message\":true"})
    void anAnswerThatIsNoTurnOfItsOwnHasNone(String more) {
        assertThat(planner(template).nextTurnBeginning(chat(QUESTION + ",{\"role\":\"assistant\",\"content\":\"The\"}", more), " blue room.")).isEmpty();
    }

    @Test
    void aTemplateThatRefusesSuchAConversationHasNone() {
        RequestPlanner refusing = planner("{% if messages | length > 1 %}{{ raise_exception('one message') }}{% endif %}" + template);

        assertThat(refusing.nextTurnBeginning(chat(QUESTION, ""), "The blue room.")).isEmpty();
    }

    @Test
    void aTemplateWithoutTurnsHasNone() {
        RequestPlanner plain = planner("{% for message in messages %}{{ message.content }} {% endfor %}");

        assertThat(plain.nextTurnBeginning(chat(QUESTION, ""), "The blue room.")).isEmpty();
    }
}
