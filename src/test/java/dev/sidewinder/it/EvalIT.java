package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import dev.sidewinder.it.support.Launcher;
import dev.sidewinder.it.support.ServerProcess;
import dev.sidewinder.model.checkpoint.ScriptedCheckpoint;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.BeforeAll;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// `./sidewinder eval` from the shell to the report, on checkpoints whose answers are known.
class EvalIT {

    private static final String CALL = "<tool_call>\n<function=get_weather>\n<parameter=city>\nParis\n</parameter>\n"
            + "<parameter=days>\n3\n</parameter>\n</function>\n</tool_call>";
    private static final String TOOLS = "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"get_weather\","
            + "\"parameters\":{\"type\":\"object\",\"properties\":{\"city\":{\"type\":\"string\"},"
            + "\"days\":{\"type\":\"integer\"}}}}}],";

    @TempDir
    static Path folder;

    private static Path first;
    private static Path second;
    private static Path set;

    @BeforeAll
    static void write() throws Exception {
        first = script("Blue.").write(folder.resolve("first"));
        second = script("Green.").write(folder.resolve("second"));
        set = folder.resolve("test.jsonl.gz");
        try (var lines = new OutputStreamWriter(new GZIPOutputStream(Files.newOutputStream(set)), StandardCharsets.UTF_8)) {
            lines.write(line("greet-1", "greet", "hello", "", "{\"content\":\"Hi there.\"}"));
            lines.write(line("greet-2", "greet", "hello", "", "{\"content\":\"Hi There.\"}"));
            lines.write(line("colour-1", "colour", "the colour", "", "{\"content\":\"Blue.\"}"));
            lines.write(line("call-1", "tool-call", "the weather", TOOLS,
                    "{\"tool_calls\":[{\"name\":\"get_weather\",\"arguments\":{\"days\":3,\"city\":\"Paris\"}}]}"));
            lines.write(line("call-2", "tool-call", "the weather", TOOLS,
                    "{\"tool_calls\":[{\"name\":\"get_weather\",\"arguments\":{\"days\":4,\"city\":\"Paris\"}}]}"));
            lines.write(line("none-1", "tool-none", "hello", TOOLS, "{\"content\":\"Hi there.\",\"no_tool_calls\":true}"));
            lines.write(line("json-1", "json", "an object", "", "{\"json\":{\"a\":[1,true]}}"));
            lines.write(line("json-2", "json", "an object", "", "{\"json\":{\"a\":[2,true]}}"));
            lines.write(line("json-3", "json", "hello", "", "{\"json\":{}}"));
            lines.write(line("long-1", "long", "hello ".repeat(1500), "", "{\"content\":\"Hi there.\"}"));
        }
    }

    /// Says the same in all cases but one.
    private static ScriptedCheckpoint script(String colour) {
        return new ScriptedCheckpoint().thinking("Hm.\n").answer("Hi there.").when("colour", colour)
                .when("object", "{\"a\": [1, true]}").when("weather", CALL);
    }

    private static String line(String id, String task, String question, String more, String expect) {
        return "{\"id\":\"" + id + "\",\"task\":\"" + task + "\",\"messages\":[{\"role\":\"user\",\"content\":\"" + question
                + "\"}]," + more + "\"enable_thinking\":false,\"max_tokens\":64,\"expect\":" + expect + "}\n";
    }

    @Test
    void scoresTheAnswersOfTheRealServer() throws Exception {
        Path report = folder.resolve("one.json");

        Launcher.Result result = Launcher.run("eval", "--model", first.toString(), "--set", set.toString(),
                "--json", report.toString(), "--show-wrong", "1", "--concurrency", "4");

        assertThat(result.status()).as(result.errors()).isZero();
        assertThat(rows(result.output())).containsExactly("greet 2 1", "colour 1 1", "tool-call 2 1", "tool-none 1 1",
                "json 3 1", "long 1 1", "all 10 6");
        assertThat(result.output()).contains("first bf16: 10 cases in", "json: 2 of 3 answers are JSON",
                "wrong greet-2 (first bf16): the text is another", "expected \"Hi There.\"", "answered \"Hi there.\"",
                "wrong call-2 (first bf16): call 1: the arguments are others");
        assertThat(result.errors()).contains("evaluating first bf16: 10 cases in").doesNotContain("\033", "\r");
        JsonNode run = json(report).get("runs").get(0);
        assertThat(run.get("all").get("right").asInt()).isEqualTo(6);
        assertThat(run.get("server").get("weights").asText()).matches("[0-9a-f]{16}");
        assertThat(run.get("cases")).hasSize(10);
        assertThat(run.get("cases").get(3).get("tool_calls").get(0).get("arguments").asText())
                .isEqualTo("{\"city\":\"Paris\",\"days\":3}");
        assertThat(json(report).get("sets").get(0).get("cases").asInt()).isEqualTo(10);
    }

    @Test
    void comparesTwoModels() throws Exception {
        Path report = folder.resolve("two.json");

        Launcher.Result result = Launcher.run("eval", "--model", first.toString(), "--against", second.toString(),
                "--set", set.toString(), "--json", report.toString(), "--tasks", "greet,colour", "--limit", "1");

        assertThat(result.status()).as(result.errors()).isZero();
        assertThat(result.output()).contains("first bf16", "second bf16", "1 cases changed", "colour-1: right, then wrong",
                "first bf16: \"Blue.\"", "second bf16: \"Green.\"");
        JsonNode comparison = json(report).get("comparison");
        assertThat(comparison.get("all").get("first_only").asInt()).isEqualTo(1);
        assertThat(comparison.get("all").get("both_right").asInt()).isEqualTo(1);
        assertThat(comparison.get("changed").get(0).get("id").asText()).isEqualTo("colour-1");
    }

    @Test
    void comparesTwoArithmeticsOfOneModel() throws Exception {
        Launcher.Result result = Launcher.run("eval", "--model", first.toString(), "--against-arithmetic", "f32",
                "--set", set.toString(), "--tasks", "greet,tool-call");

        assertThat(result.status()).as(result.errors()).isZero();
        assertThat(result.output()).contains("first bf16", "first f32", "0 cases changed", "0 more have another answer");
    }

    @Test
    void asksAServerThatRunsAndSkipsWhatDoesNotFit() throws Exception {
        try (var server = ServerProcess.start("--model", first.toString(), "--max-model-len", "1024")) {
            Launcher.Result result = Launcher.run("eval", "--url", server.uri().toString(), "--set", set.toString(),
                    "--tasks", "greet,long");

            assertThat(result.status()).as(result.errors()).isZero();
            assertThat(rows(result.output())).containsExactly("greet 2 1", "all 2 1");
            assertThat(result.output()).containsPattern("skipped long-1 \\(127.0.0.1:\\d+\\): The prompt has \\d+ tokens");
            server.api().awaitRest();
        }
    }

    @Test
    void aServerThatDoesNotStartIsAFailure() throws Exception {
        Launcher.Result result = Launcher.run("eval", "--model", folder.resolve("nothing").toString(), "--set", set.toString());

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.output()).isEmpty();
        assertThat(result.errors()).contains("sidewinder eval: the server ended with status 1", "nothing");
    }

    /// Task, cases and right of every row of the table.
    private static List<String> rows(String output) {
        List<String> rows = new ArrayList<>();
        for (String line : output.split("\n")) {
            String[] words = line.strip().split("\\s+");
            if (words.length > 8 && line.contains(" … ")) {
                rows.add(words[0] + " " + words[1] + " " + words[2]);
            }
        }
        return rows;
    }

    private static JsonNode json(Path file) throws Exception {
        return new ObjectMapper().readTree(file.toFile());
    }
}
