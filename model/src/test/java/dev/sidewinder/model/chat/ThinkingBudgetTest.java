package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatIllegalArgumentException;

import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.chat.GuideOptions.Calls;
import dev.sidewinder.model.grammar.TokenGuide;
import dev.sidewinder.model.grammar.TokenMask;
import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.Tokenizer;
import java.util.Arrays;
import java.util.List;
import java.util.Optional;
import java.util.Random;
import java.util.Set;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.TestInstance;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;
import org.junit.jupiter.params.provider.ValueSource;

/// Reasoning is closed when its budget says so, at the token it says.
@TestInstance(TestInstance.Lifecycle.PER_CLASS)
class ThinkingBudgetTest {
    private static final int END = 11;
    private static final int THINK = 12;
    private static final int END_THINK = 13;
    private static final int CALL = 14;
    private static final int END_CALL = 15;

    private Model model;
    private Tokenizer tokenizer;
    private AnswerGuides guides;
    private int[] closing;
    private int word;
    private int newline;

    @BeforeAll
    void open() {
        model = Model.open("synthetic:demo");
        tokenizer = model.tokenizer().orElseThrow();
        guides = new AnswerGuides(tokenizer, ControlTokens.of(tokenizer), 600, AnswerGuides.CLOSING_TEXT);
        closing = tokenizer.encode(List.of(new TextRun("\n\n</think>", true)));
        word = tokenizer.encode("a", false)[0];
        newline = tokenizer.encode("\n", false)[0];
    }

    @AfterAll
    void close() {
        model.close();
    }

    private TokenGuide guide(int budget, int grace, Calls calls, CallableTool... tools) {
        return guides.of(new GuideOptions(true, Optional.of(new ThinkingBudget(budget, grace)), List.of(tools), calls, Set.of(2, END)))
                .orElseThrow().get();
    }

    private TokenGuide guide(int budget, int grace) {
        return guide(budget, grace, Calls.FREE);
    }

    private static int onlyAllowed(TokenMask mask) {
        int only = -1;
        for (int token = 0; token < 700; token++) {
            if (mask.allows(token)) {
                assertThat(only).as("one token only").isEqualTo(-1);
                only = token;
            }
        }
        return only;
    }

    /// Takes the closing text, token by token, each the only one allowed.
    private void closes(TokenGuide guide) {
        for (int token : closing) {
            assertThat(onlyAllowed(guide.allowed())).isEqualTo(token);
            guide.accept(token);
        }
    }

    private static void say(TokenGuide guide, int token, int times) {
        for (int i = 0; i < times; i++) {
            assertThat(guide.allowed().isAll()).as("token %d of %d", i, times).isTrue();
            guide.accept(token);
        }
    }

    @Test
    void theClosingTextEndsWithTheTag() {
        assertThat(closing[closing.length - 1]).isEqualTo(END_THINK);
        for (String wrong : List.of("", "stop", "</think> ", "</think></think>")) {
            assertThatIllegalArgumentException().isThrownBy(() -> new AnswerGuides(tokenizer, ControlTokens.of(tokenizer), 600, wrong));
        }
    }

    @ParameterizedTest
    @ValueSource(ints = {1, 2, 7, 100})
    void closesBehindTheFirstNewlineFromTheBudgetOn(int budget) {
        // the newest token is the budget's last and ends in a newline
        TokenGuide exact = guide(budget, 30);
        say(exact, word, budget - 1);
        say(exact, newline, 1);
        closes(exact);
        assertThat(exact.allowed().isAll()).as("content is free").isTrue();

        // or a later one does
        TokenGuide later = guide(budget, 30);
        say(later, word, budget + 3);
        say(later, newline, 1);
        closes(later);
    }

    @Test
    void newlinesBeforeTheBudgetCloseNothing() {
        TokenGuide guide = guide(5, 30);
        say(guide, newline, 4);
        say(guide, word, 10);
        say(guide, newline, 1);
        closes(guide);
    }

    @ParameterizedTest
    @CsvSource({"5,0", "5,1", "1,32", "3,10"})
    void closesWhereverItIsWhenTheGraceIsOver(int budget, int grace) {
        TokenGuide guide = guide(budget, grace);
        say(guide, word, budget + grace);
        closes(guide);
    }

    @Test
    void aBudgetOfNothingClosesAtOnce() {
        closes(guide(0, 30));
    }

    @Test
    void reasoningThatEndsByItselfIsLeftAlone() {
        TokenGuide guide = guide(10, 5);
        say(guide, word, 3);
        say(guide, END_THINK, 1);
        say(guide, word, 100);
        // between budget and grace too
        TokenGuide late = guide(2, 50);
        say(late, word, 5);
        say(late, END_THINK, 1);
        say(late, newline, 100);
    }

    @Test
    void reasoningThatComesAgainGoesOnCounting() {
        TokenGuide guide = guide(5, 3);
        say(guide, word, 4);
        say(guide, END_THINK, 1);
        say(guide, word, 50);
        say(guide, THINK, 1);
        // four words, two tags: the budget is spent, two more tokens are grace
        say(guide, word, 2);
        closes(guide);
        say(guide, THINK, 1);
        closes(guide);
    }

    @Test
    void aCallInsideReasoningIsNotCutByTheBudget() {
        TokenGuide guide = guide(3, 0, Calls.FREE, new CallableTool("f", JsonNodeFactory.instance.objectNode(), false));
        say(guide, word, 2);
        say(guide, CALL, 1);
        var walk = new GuidedWalk(tokenizer, guide, new Random(1));
        walk.say("\n<function=f>\n<parameter=p>\nlong\nlong\nlong\n</parameter>\n</function>\n");
        walk.sayToken(END_CALL);
        assertThat(guide.allowed().isAll()).as("the call has closed it").isTrue();
    }

    @Test
    void aForcedCallFollowsTheForcedClose() {
        TokenGuide guide = guide(0, 0, Calls.FORCED, new CallableTool("f", JsonNodeFactory.instance.objectNode(), false));
        closes(guide);
        assertThat(guide.allowed().allows(CALL)).isTrue();
        assertThat(guide.allowed().allows(word)).isFalse();
    }

    @Test
    void aBudgetMeansNothingWithoutThinking() {
        assertThat(guides.of(new GuideOptions(false, Optional.of(new ThinkingBudget(0, 0)), List.of(), Calls.FREE, Set.of()))).isEmpty();
    }

    @Test
    void theUsualGraceIsAQuarterWithinBounds() {
        assertThat(Arrays.stream(new int[] {0, 1, 127, 128, 129, 132, 1999, 2000, 2004, 100_000}).map(budget -> ThinkingBudget.of(budget).grace()))
                .containsExactly(32, 32, 32, 32, 32, 33, 499, 500, 500, 500);
        assertThatIllegalArgumentException().isThrownBy(() -> new ThinkingBudget(-1, 0));
        assertThatIllegalArgumentException().isThrownBy(() -> new ThinkingBudget(0, -1));
    }
}
