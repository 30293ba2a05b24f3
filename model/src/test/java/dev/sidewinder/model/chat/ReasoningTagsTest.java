package dev.sidewinder.model.chat;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;

class ReasoningTagsTest {

    @Test
    void movesALeadingPairOutOfTheContent() {
        assertThat(ReasoningTags.split("<think>\nI see\n</think>\n\nHello")).isEqualTo(new ReasoningTags.Parts("I see", "Hello"));
        assertThat(ReasoningTags.split(" \n<think>a</think>b")).isEqualTo(new ReasoningTags.Parts("a", "b"));
        assertThat(ReasoningTags.split("<think>a\n\nb</think> c</think>")).isEqualTo(new ReasoningTags.Parts("a\n\nb", " c</think>"));
    }

    @Test
    void anEmptyPairIsNoReasoning() {
        assertThat(ReasoningTags.split("<think></think>Hello")).isEqualTo(new ReasoningTags.Parts(null, "Hello"));
        assertThat(ReasoningTags.split("<think>\n</think>")).isEqualTo(new ReasoningTags.Parts(null, ""));
    }

    @Test
    void everythingElseIsContent() {
        for (String content : new String[] {"", " ", "Hello", "Hello <think>a</think>", "<think>open", "a</think>b", "<thinking>a</think>"}) {
            assertThat(ReasoningTags.split(content)).isEqualTo(new ReasoningTags.Parts(null, content));
        }
    }
}
