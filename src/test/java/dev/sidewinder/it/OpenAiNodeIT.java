package dev.sidewinder.it;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.it.support.KeyFile;
import dev.sidewinder.it.support.Script;
import dev.sidewinder.it.support.ServerProcess;
import java.io.File;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.stream.Stream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/// Conversations of the official npm client, in `node/conversation.test.mjs`. Needs Node 20 and npm, which installs the
/// pinned client on the first run; skipped where there is no Node, except in CI.
class OpenAiNodeIT {

    private static final ObjectMapper JSON = new ObjectMapper();
    private static final Path SCRIPTS = Path.of("node").toAbsolutePath();

    @TempDir
    Path folder;

    @Test
    void completesEveryConversation() throws Exception {
        assumeTrue(System.getenv("CI") != null || nodeIsInstalled(), "there is no node and npm on the path");
        install();
        Path keys = new KeyFile(folder).with("team", "inference").with("watcher", "metrics").write();
        try (ServerProcess server = ServerProcess.start("--model", Script.write(folder).toString(), "--api-key-file", keys.toString())) {
            ObjectNode script = JSON.createObjectNode()
                    .put("reasoning", Script.REASONING).put("answer", Script.ANSWER).put("toolName", Script.TOOL_NAME)
                    .put("toolQuestion", Script.TOOL_QUESTION).put("afterTool", Script.AFTER_TOOL)
                    .put("endlessQuestion", Script.ENDLESS_QUESTION)
                    .put("completionPrompt", Script.COMPLETION_PROMPT).put("completion", Script.COMPLETION);
            script.set("toolArguments", JSON.readTree(Script.TOOL_ARGUMENTS));

            String report = run(120, Map.of("SIDEWINDER_URL", server.uri() + "/v1", "KEY", KeyFile.keyOf("team"),
                    "SCRIPT", script.toString()),
                    "node", "--test", "--test-reporter=tap", "conversation.test.mjs");

            assertThat(report).contains("# pass 11").contains("# fail 0");
            server.api().withKey(KeyFile.keyOf("watcher")).awaitRest();
        }
    }

    private static boolean nodeIsInstalled() {
        return Stream.of("node", "npm").allMatch(program -> Stream.of(System.getenv("PATH").split(File.pathSeparator))
                .anyMatch(folder -> Files.isExecutable(Path.of(folder, program))));
    }

    private static void install() throws Exception {
        if (!Files.isDirectory(SCRIPTS.resolve("node_modules/openai"))) {
            // a connection that hangs is given up soon and tried again; nobody is asked for news of npm itself
            run(300, Map.of(), "npm", "install", "--no-package-lock", "--no-audit", "--no-fund", "--no-update-notifier",
                    "--fetch-timeout=30000", "--fetch-retries=5");
        }
    }

    private static String run(int limitSeconds, Map<String, String> environment, String... command)
            throws IOException, InterruptedException {
        var output = Files.createTempFile("sidewinder-node", ".log");
        try {
            var builder = new ProcessBuilder(command).directory(SCRIPTS.toFile()).redirectErrorStream(true)
                    .redirectOutput(output.toFile());
            builder.environment().putAll(environment);
            Process process = builder.start();
            boolean ended = process.waitFor(limitSeconds, TimeUnit.SECONDS);
            process.destroyForcibly();
            String report = Files.readString(output, StandardCharsets.UTF_8);
            assertThat(ended && process.waitFor() == 0).as("%s said:%n%s", List.of(command), report).isTrue();
            return report;
        } finally {
            Files.delete(output);
        }
    }
}
