package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import dev.sidewinder.bench.Main;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import picocli.CommandLine;

class SimulateCommandTest {

    @TempDir
    Path folder;

    private final StringWriter errors = new StringWriter();

    @Test
    void comparesAllPoliciesAndWritesEverythingDown() throws IOException {
        String printed = run(0, "--minutes", "1", "--compare", "--json", file("all.json"), "--svg", file("time.svg"), "--csv", file("time.csv"));

        assertThat(printed).contains("synthetic:nano-30b-fp8 on one H100").contains("| fcfs |").contains("| fcfs+suspension |").contains("after tools");
        JsonNode runs = new JsonMapper().readTree(folder.resolve("all.json").toFile()).get("runs");
        assertThat(runs).hasSize(Policies.COMPARED.size());
        for (Policy policy : Policies.COMPARED) {
            String name = "-" + policy.name().replaceAll("[^a-zA-Z0-9]+", "-");
            assertThat(folder.resolve("time" + name + ".svg")).content().startsWith("<svg");
            assertThat(folder.resolve("time" + name + ".csv")).content().startsWith("from_seconds,running");
        }
    }

    @Test
    void playsWhatItWroteDown() throws IOException {
        run(0, "--minutes", "1", "--record", file("traffic.jsonl"), "--json", file("generated.json"));
        run(0, "--minutes", "1", "--trace", file("traffic.jsonl"), "--json", file("played.json"));
        JsonMapper mapper = new JsonMapper();
        assertThat(mapper.readTree(folder.resolve("played.json").toFile()).get("runs"))
                .isEqualTo(mapper.readTree(folder.resolve("generated.json").toFile()).get("runs"));
        assertThat(Files.readString(folder.resolve("traffic.jsonl"))).startsWith("{\"conversation\":");
    }

    @Test
    void saysWhatItDoesNotKnow() {
        run(1, "--gpu", "h300", "--minutes", "1");
        assertThat(errors.toString()).contains("no GPU \"h300\" is known").contains("h100");
        run(1, "--policy", "magic", "--minutes", "1");
        assertThat(errors.toString()).contains("no policy \"magic\" is known; known are fcfs, fcfs+PART");
        run(1, "--policy", "all-magic", "--minutes", "1");
        assertThat(errors.toString()).contains("no policy \"all-magic\" is known").contains("suspension");
        run(1, "--model", "synthetic:nano-30b-bf16", "--gpu", "h100", "--minutes", "1", "--kv", "int4");
        assertThat(errors.toString()).contains("--kv is \"int4\"");
        run(2, "--minuets", "1");
        assertThat(errors.toString()).contains("--minuets");
    }

    private String file(String name) {
        return folder.resolve(name).toString();
    }

    private String run(int expected, String... arguments) {
        errors.getBuffer().setLength(0);
        List<String> all = new ArrayList<>(List.of("--chats", "1", "--agents", "0.1", "--documents", "0", "--jobs", "0.5"));
        all.addAll(List.of(arguments));
        var command = new SimulateCommand();
        var printed = new ByteArrayOutputStream();
        command.output = new PrintStream(printed, true, StandardCharsets.UTF_8);
        CommandLine line = Main.withShortErrors(new CommandLine(command)).setErr(new PrintWriter(errors, true));
        assertThat(line.execute(all.toArray(String[]::new))).as(errors.toString()).isEqualTo(expected);
        return printed.toString(StandardCharsets.UTF_8);
    }
}
