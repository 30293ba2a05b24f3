package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TraceFileTest {

    @TempDir
    Path folder;

    @Test
    void readsWhatItWrote() throws IOException {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 1.0, TrafficKind.AGENT, 0.1, TrafficKind.DOCUMENT, 0.1), 300, 3);
        Path file = folder.resolve("traffic.jsonl");
        TraceFile.write(file, traffic);
        assertThat(TraceFile.read(file).conversations()).isEqualTo(traffic.conversations());
    }

    @Test
    void readsTheLeastThatAConversationNeeds() throws IOException {
        Conversation read = read("""
                {"conversation": "a", "at_seconds": 1.5, "turns": [{"messages": [{"content": "m", "tokens": 7}], "answer_tokens": 3}]}
                """).conversations().getFirst();
        assertThat(read.system()).isEmpty();
        assertThat(read.turns().getFirst().input()).isEqualTo(Turn.Input.USER);
        assertThat(read.turns().getFirst().limitTokens()).isEqualTo(3);
        assertThat(new Transcript(read).nextPrompt()).hasSize(7 + 5);
    }

    @Test
    void readsRequestsWhosePromptsAreNamedInBlocks() throws IOException {
        Traffic traffic = read("""
                {"timestamp": 27482, "input_length": 1200, "output_length": 52, "hash_ids": [46, 47, 2353]}

                {"timestamp": 500, "input_length": 1024, "output_length": 0, "hash_ids": [46, 47]}
                """);
        // in the order of their arrival
        Conversation early = traffic.conversations().get(0);
        Conversation late = traffic.conversations().get(1);
        assertThat(early.arrivalSeconds()).isEqualTo(0.5);
        assertThat(late.arrivalSeconds()).isEqualTo(27.482);
        assertThat(early.turns().getFirst().generatedTokens()).isEqualTo(1);
        assertThat(late.turns().getFirst().generatedTokens()).isEqualTo(52);
        int[] prompt = new Transcript(late).nextPrompt();
        assertThat(prompt).hasSize(1200 + 5);
        assertThat(Arrays.mismatch(prompt, new Transcript(early).nextPrompt())).isEqualTo(1024);
    }

    @ParameterizedTest
    @CsvSource(delimiter = '|', textBlock = """
            {"conversation": "a"                                                                             | line 2: is not valid JSON
            {"conversation": "a", "at_seconds": 1} {}                                                        | line 2: is not valid JSON
            {"at_seconds": 1, "turns": []}                                                                   | there is no "conversation"
            {"conversation": "b", "at_seconds": 1, "turns": []}                                              | conversation b has 0 turns
            {"conversation": "b", "at_seconds": "1", "turns": [{"messages": [], "answer_tokens": 1}]}        | "at_seconds" is "1" and has to be a number
            {"conversation": "b", "at_seconds": -1, "turns": [{"messages": [], "answer_tokens": 1}]}         | no time before 0
            {"conversation": "b", "at_seconds": 1, "turns": [{"messages": [], "answer_tokens": 0}]}          | 0 of answer
            {"conversation": "b", "at_seconds": 1, "turns": [{"messages": []}]}                              | there is no "answer_tokens"
            {"conversation": "b", "at_seconds": 1, "turns": [{"input": "x", "messages": [], "answer_tokens": 1}]} | "input" is "x"
            {"conversation": "ok", "at_seconds": 1, "turns": [{"messages": [], "answer_tokens": 1}]}         | "ok" came before
            {"timestamp": 1, "input_length": 600, "output_length": 1, "hash_ids": [1]}                       | "input_length" is 600 and 1 hashes""")
    void saysWhichLineCannotBeUnderstood(String line, String message) {
        String first = """
                {"conversation": "ok", "at_seconds": 1, "turns": [{"messages": [], "answer_tokens": 1}]}
                """;
        assertThatThrownBy(() -> read(first + line + "\n")).isInstanceOf(IllegalArgumentException.class)
                .hasMessageContaining("trace.jsonl line 2").hasMessageContaining(message);
    }

    @Test
    void refusesAFileWithoutRequests() {
        assertThatThrownBy(() -> read("\n\n")).hasMessageContaining("has no requests");
    }

    private Traffic read(String text) throws IOException {
        Path file = folder.resolve("trace.jsonl");
        Files.writeString(file, text);
        return TraceFile.read(file);
    }
}
