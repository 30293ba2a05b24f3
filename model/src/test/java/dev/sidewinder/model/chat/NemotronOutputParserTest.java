package dev.sidewinder.model.chat;

import static dev.sidewinder.model.chat.Answer.CALL;
import static dev.sidewinder.model.chat.Answer.END_CALL;
import static dev.sidewinder.model.chat.Answer.END_THINK;
import static dev.sidewinder.model.chat.Answer.THINK;
import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Nested;
import org.junit.jupiter.api.Test;

class NemotronOutputParserTest {
    private static final String WEATHER = "\n<function=f>\n<parameter=s>\nParis\n</parameter>\n</function>\n";

    @Nested
    class Reasoning {
        @Test
        void endsAtTheClosingTagAndDropsTheNewlinesBehindIt() {
            Answer answer = Answer.thinking().text("Let me").text(" see.\n").tag(END_THINK).text("\n").text("\nThe")
                    .text("\n answer\n");

            assertThat(answer.stop()).isEqualTo(new Answer.Message("Let me see.\n", "The\n answer\n", List.of()));
            // two tokens of text and the tag
            assertThat(answer.parser().reasoningTokens()).isEqualTo(3);
        }

        @Test
        void streamsAsItComes() {
            Answer answer = Answer.thinking().text("One");
            assertThat(answer.deltas).containsExactly(new OutputDelta.Reasoning("One"));

            answer.tag(END_THINK).text("Two");
            assertThat(answer.deltas).containsExactly(new OutputDelta.Reasoning("One"), new OutputDelta.Content("Two"));
        }

        @Test
        void aTagSpelledFromOrdinaryTokensIsText() {
            assertThat(Answer.thinking().text("</think>").text("</").text("think>a").tag(END_THINK).text("<think>").stop())
                    .isEqualTo(new Answer.Message("</think></think>a", "<think>", List.of()));
            assertThat(Answer.plain().text("<tool_call>" + WEATHER + "</tool_call>").stop())
                    .isEqualTo(new Answer.Message("", "<tool_call>" + WEATHER + "</tool_call>", List.of()));
        }

        @Test
        void aLaterClosingTagIsDroppedAndCounted() {
            Answer answer = Answer.thinking().text("r").tag(END_THINK).text("a").tag(END_THINK).text("\nb");

            assertThat(answer.stop()).isEqualTo(new Answer.Message("r", "a\nb", List.of()));
            assertThat(answer.parser().counts().droppedThinkTags()).isOne();
        }

        @Test
        void anOpeningTagInContentReentersIt() {
            Answer answer = Answer.thinking().text("r").tag(END_THINK).text("a").tag(THINK).text("s").tag(END_THINK)
                    .text("\n\nb");

            assertThat(answer.stop()).isEqualTo(new Answer.Message("rs", "ab", List.of()));
            assertThat(answer.parser().reasoningTokens()).isEqualTo(5);
            assertThat(answer.parser().counts().droppedThinkTags()).isZero();
        }

        @Test
        void anOpeningTagInsideIsDropped() {
            Answer answer = Answer.thinking().tag(THINK).text("r").tag(END_THINK).text("a");

            assertThat(answer.stop()).isEqualTo(new Answer.Message("r", "a", List.of()));
            assertThat(answer.parser().counts().droppedThinkTags()).isOne();
        }

        @Test
        void withoutThinkingEverythingIsContent() {
            Answer answer = Answer.plain().text("a").tag(END_THINK).text("b").tag(THINK).text("c").tag(END_THINK).text("\nd");

            assertThat(answer.stop()).isEqualTo(new Answer.Message("", "abc\nd", List.of()));
            assertThat(answer.parser().reasoningTokens()).isZero();
            assertThat(answer.parser().counts().droppedThinkTags()).isEqualTo(3);
        }

        @Test
        void aNaturalEndInsideIsCopiedToContent() {
            Answer answer = Answer.thinking().text("The answer ").text("is 4");
            assertThat(answer.stop()).isEqualTo(new Answer.Message("The answer is 4", "The answer is 4", List.of()));
            // in a stream as one delta
            assertThat(answer.deltas.getLast()).isEqualTo(new OutputDelta.Content("The answer is 4"));
        }

        @Test
        void theCopyCanBeTurnedOffAndNeedsANaturalEnd() {
            var options = new NemotronOutputParser.Options(true, Answer.CONTROL, Map.of(), true, false, List.of(), false, 0);

            assertThat(new Answer(options).text("r").stop().content()).isEmpty();
            assertThat(Answer.thinking().text("r").length()).isEqualTo(new Answer.Message("r", "", List.of()));
            assertThat(Answer.thinking().text("r").tag(END_THINK).stop().content()).isEmpty();
            assertThat(Answer.thinking().text("r").tag(END_THINK).tag(THINK).text("s").stop().content()).isEmpty();
            assertThat(Answer.thinking().text("r").call(WEATHER).stop().content()).isEmpty();
            assertThat(Answer.thinking().stop()).isEqualTo(new Answer.Message("", "", List.of()));
        }

        @Test
        void takesWhatAnIncompleteCharacterBecameInFrontOfATag() {
            // the stream decoder hands U+FFFD out together with the tag that cut the character
            Answer answer = Answer.thinking().piece(new Answer.Piece(END_THINK, "\uFFFD</think>")).text("a");

            assertThat(answer.stop()).isEqualTo(new Answer.Message("\uFFFD", "a", List.of()));
        }

        @Test
        void worksWithADecoderThatSkipsSpecialTokens() {
            Answer answer = Answer.thinking().text("r").piece(new Answer.Piece(END_THINK, ""))
                    .piece(new Answer.Piece(CALL, "")).text(" no call ").piece(new Answer.Piece(END_CALL, ""));

            assertThat(answer.stop())
                    .isEqualTo(new Answer.Message("r", "<tool_call> no call </tool_call>", List.of()));
        }
    }

    @Nested
    class CallsInReasoning {
        @Test
        void aCompleteOneIsHoistedAndClosesReasoning() {
            // the known failure: the closing tag comes after the call
            Answer answer = Answer.thinking().text("r").call(WEATHER).tag(END_THINK).text("\n");
            Answer.Message message = answer.stop();

            assertThat(message).isEqualTo(new Answer.Message("r", "",
                    List.of(new Answer.Call("f", "{\"s\":\"Paris\"}", true))));
            assertThat(answer.parser().counts()).isEqualTo(new OutputCounts(0, 0, 1, 0, 1));
            assertThat(answer.parser().reasoningTokens()).isOne();
            assertThat(answer.parser().toolCalls()).isOne();
        }

        @Test
        void nothingOfItIsSentBeforeItIsComplete() {
            Answer answer = Answer.thinking().text("r").tag(CALL).text(WEATHER);
            assertThat(answer.deltas).containsExactly(new OutputDelta.Reasoning("r"));

            answer.tag(END_CALL).tag(END_THINK).text("\nDone");
            assertThat(answer.stop().content()).isEqualTo("Done");
        }

        @Test
        void oneThatNeverCompletesIsReasoning() {
            String partial = "\n<function=f>\n<parameter=s>\nPar";

            assertThat(Answer.thinking().text("r").tag(CALL).text(partial).length())
                    .isEqualTo(new Answer.Message("r<tool_call>" + partial, "", List.of()));
            Answer closed = Answer.thinking().text("r").tag(CALL).text(partial).tag(END_THINK).text("\na");
            assertThat(closed.stop()).isEqualTo(new Answer.Message("r<tool_call>" + partial, "a", List.of()));
            assertThat(closed.parser().reasoningTokens()).isEqualTo(4);
            assertThat(closed.parser().counts().malformed()).isOne();
        }

        @Test
        void aStopTokenMayStandForItsClosingTag() {
            assertThat(Answer.thinking().text("r").tag(CALL).text(WEATHER).stop().calls()).hasSize(1);
            assertThat(Answer.thinking().text("r").tag(CALL).text(WEATHER).length().calls()).isEmpty();
        }

        @Test
        void aMereMentionIsReasoning() {
            Answer answer = Answer.thinking().text("I could ").tag(CALL).text(" or").tag(END_CALL).text(" not.")
                    .tag(END_THINK).text("No.");

            assertThat(answer.stop())
                    .isEqualTo(new Answer.Message("I could <tool_call> or</tool_call> not.", "No.", List.of()));
        }

        @Test
        void aRealOneAfterAMentionIsFound() {
            Answer answer = Answer.thinking().text("I use ").tag(CALL).tag(CALL).text(WEATHER).tag(END_CALL);

            assertThat(answer.stop()).isEqualTo(new Answer.Message("I use <tool_call>", "",
                    List.of(new Answer.Call("f", "{\"s\":\"Paris\"}", true))));
        }
    }

    @Nested
    class Calls {
        @Test
        void comeOneAfterTheOther() {
            Answer answer = Answer.thinking().text("r").tag(END_THINK).text("\nI will look.\n").call(WEATHER).text("\n")
                    .call("\n<function=g>\n</function>\n").text("\n");

            assertThat(answer.stop()).isEqualTo(new Answer.Message("r", "I will look.\n", List.of(
                    new Answer.Call("f", "{\"s\":\"Paris\"}", true), new Answer.Call("g", "{}", true))));
            assertThat(answer.parser().counts()).isEqualTo(new OutputCounts(2, 0, 0, 0, 0));
        }

        @Test
        void haveNoContentAroundThemWhenThereIsNone() {
            assertThat(Answer.thinking().text("r").tag(END_THINK).text("\n \n").call(WEATHER).text(" \n").stop().content())
                    .isEmpty();
            assertThat(Answer.plain().text("\n").call(WEATHER).text("\nDone").stop().content()).isEqualTo("\nDone");
            assertThat(Answer.plain().text(" \n").stop().content()).isEqualTo(" \n");
        }

        @Test
        void sendTheNameFirstAndTextAsItGrows() {
            Answer answer = Answer.plain().tag(CALL).text("\n<function=").text("f").text(">");
            assertThat(answer.deltas).containsExactly(new OutputDelta.ToolCallStarted(0, "f"));

            answer.text("\n<parameter=s>\nHello").text(" \"you\"").text("\n").text("</para");
            assertThat(answer.message().calls().getFirst().arguments()).isEqualTo("{\"s\":\"Hello \\\"you\\\"");

            answer.text("meter>\n<parameter=i>\n4").text("2");
            assertThat(answer.message().calls().getFirst().arguments())
                    .isEqualTo("{\"s\":\"Hello \\\"you\\\"\",\"i\":");

            answer.text("\n</parameter>");
            assertThat(answer.message().calls().getFirst().arguments())
                    .isEqualTo("{\"s\":\"Hello \\\"you\\\"\",\"i\":42");
            assertThat(answer.parser().toolCalls()).isZero();
            answer.text("\n</function>\n").tag(END_CALL);
            assertThat(answer.parser().toolCalls()).isOne();
        }

        @Test
        void thatAreNoneBecomeContentByteForByte() {
            for (String inside : List.of("", "\n", "{\"name\": \"f\"}", "\n<function=f", "\n<function=>", "\n<function=a b>",
                    " <func", "<function =f>", "\n<function=" + "n".repeat(129) + ">", "\n<function=f\n>")) {
                Answer answer = Answer.plain().text("a ").call(inside).text(" b");
                assertThat(answer.stop()).as(inside)
                        .isEqualTo(new Answer.Message("", "a <tool_call>" + inside + "</tool_call> b", List.of()));
                assertThat(answer.parser().counts()).isEqualTo(new OutputCounts(0, 0, 0, 1, 0));
            }
        }

        @Test
        void withoutToolsInTheRequestThereAreNone() {
            var options = new NemotronOutputParser.Options(false, Answer.CONTROL, Map.of(), true, true, List.of(), false, 0);

            assertThat(new Answer(options).call(WEATHER).stop())
                    .isEqualTo(new Answer.Message("", "<tool_call>" + WEATHER + "</tool_call>", List.of()));
        }

        @Test
        void endAtAStopTokenWithoutTheirClosingTag() {
            Answer answer = Answer.plain().tag(CALL).text(WEATHER);

            assertThat(answer.stop().calls()).containsExactly(new Answer.Call("f", "{\"s\":\"Paris\"}", true));
            assertThat(answer.parser().counts().ok()).isOne();
        }

        @Test
        void areValidJsonHoweverTheyStop() {
            // given every prefix of a call
            String inside = "\n<function=f>\n<parameter=s>\nPar\nis\n</parameter>\n<parameter=i>\n42\n</parameter>\n</function>\n";
            for (int cut = "\n<function=f>".length(); cut <= inside.length(); cut++) {
                Answer.Message message = Answer.plain().tag(CALL).text(inside.substring(0, cut)).stop();

                assertThat(message.calls()).hasSize(1);
                assertThat(message.calls().getFirst().json().isObject()).isTrue();
                assertThat(message.calls().getFirst().ended()).isTrue();
            }
        }

        @Test
        void cutByLengthAreSentAsTheyAre() {
            Answer answer = Answer.plain().tag(CALL).text("\n<function=f>\n<parameter=s>\nPar");
            assertThat(answer.length().calls()).containsExactly(new Answer.Call("f", "{\"s\":\"Par", false));
            assertThat(answer.parser().toolCalls()).isZero();

            assertThat(Answer.plain().tag(CALL).text("\n<function=f>\n<parameter=o>\n{\"a\": ").length().calls())
                    .containsExactly(new Answer.Call("f", "{\"o\":{\"a\": ", false));
            assertThat(Answer.plain().tag(CALL).text("\n<function=f>").length().calls())
                    .containsExactly(new Answer.Call("f", "", false));
            assertThat(Answer.plain().tag(CALL).text("\n<function=").length())
                    .isEqualTo(new Answer.Message("", "<tool_call>\n<function=", List.of()));
            // everything was said
            assertThat(Answer.plain().tag(CALL).text(WEATHER).length().calls())
                    .containsExactly(new Answer.Call("f", "{\"s\":\"Paris\"}", true));
        }

        @Test
        void oneIsEnoughWhenTheyMayNotBeParallel() {
            var options = new NemotronOutputParser.Options(true, Answer.CONTROL, Answer.tools(), false, true, List.of(),
                    false, 0);
            Answer answer = new Answer(options).text("r").tag(END_THINK).call(WEATHER);
            assertThat(answer.parser().stopped()).isTrue();

            // what a step still delivers is passed over
            answer.text("\n").call(WEATHER);
            assertThat(answer.stop().calls()).hasSize(1);
        }

        @Test
        void theTagsOfReasoningInsideAValueAreText() {
            Answer answer = Answer.plain().tag(CALL).text("<function=f><parameter=s>\nwrite ").tag(THINK).text("x")
                    .tag(END_THINK).text(" and ").tag(CALL).text("\n</parameter></function>").tag(END_CALL);

            assertThat(answer.stop().calls().getFirst().json().get("s").asText())
                    .isEqualTo("write <think>x</think> and <tool_call>");
        }

        @Test
        void aNewOneEndsACompleteOneWithoutClosingTag() {
            Answer answer = Answer.plain().tag(CALL).text(WEATHER).tag(CALL).text(WEATHER).tag(END_CALL);

            assertThat(answer.stop().calls()).hasSize(2).allMatch(Answer.Call::ended);
        }
    }

    @Nested
    class StopStrings {
        @Test
        void cutTheContentAndEndTheAnswer() {
            Answer answer = new Answer(Answer.stopping(true, false, 0, "END")).text("END").tag(END_THINK).text("a E")
                    .text("N").text("D b").text("c");

            assertThat(answer.parser().stopped()).isTrue();
            assertThat(answer.stop()).isEqualTo(new Answer.Message("END", "a ", List.of()));
        }

        @Test
        void stayInTheTextWhenAsked() {
            assertThat(new Answer(Answer.stopping(false, true, 0, "END")).text("aENDb").stop().content())
                    .isEqualTo("aEND");
        }

        @Test
        void thatNeverCompleteAreText() {
            assertThat(new Answer(Answer.stopping(false, false, 0, "END")).text("a EN").stop().content()).isEqualTo("a EN");
        }

        @Test
        void areNotLookedForInCalls() {
            Answer answer = new Answer(Answer.stopping(false, false, 0, "Paris", "\n")).call(WEATHER);

            assertThat(answer.parser().stopped()).isFalse();
            assertThat(answer.stop().calls().getFirst().arguments()).isEqualTo("{\"s\":\"Paris\"}");
        }

        @Test
        void areFoundInABlockThatIsNoCall() {
            Answer answer = new Answer(Answer.stopping(false, false, 0, "x<tool_call>y")).text("ax").tag(CALL).text("yz");

            assertThat(answer.stop().content()).isEqualTo("a");
        }

        @Test
        void areMaskedBeforeTheMinimum() {
            Answer answer = new Answer(Answer.stopping(false, false, 2, "a")).text("xa").text("ya").text("z").text("ab");

            assertThat(answer.stop().content()).isEqualTo("xayaz");
        }

        @Test
        void doNotLoseWhatWasHeldInFrontOfACall() {
            Answer answer = new Answer(Answer.stopping(false, false, 0, "ENDE")).text("a END").call(WEATHER);

            assertThat(answer.stop().content()).isEqualTo("a END");
            assertThat(answer.deltas.getFirst()).isEqualTo(new OutputDelta.Content("a "));
        }

        @Test
        void mustNotBeEmpty() {
            assertThatThrownBy(() -> new Answer(Answer.stopping(false, false, 0, "")))
                    .isInstanceOf(IllegalArgumentException.class);
        }
    }
}
