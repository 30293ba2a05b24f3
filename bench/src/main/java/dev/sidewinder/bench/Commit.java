package dev.sidewinder.bench;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;

/// Which sources a benchmark was built from.
public final class Commit {

    /// Set by the start script of a packed benchmark, which has no repository around it.
    private static final String PROPERTY = "sidewinder.commit";

    private Commit() {}

    /// @return the commit, with `+` when the working tree differs from it; `unknown` without git and outside of a pack
    public static String of(Path root) {
        String packed = System.getProperty(PROPERTY);
        if (packed != null) {
            return packed;
        }
        String commit = git(root, "rev-parse", "--short=10", "HEAD");
        if (commit.isEmpty()) {
            return "unknown";
        }
        return commit + (git(root, "status", "--porcelain", "--untracked-files=no").isEmpty() ? "" : "+");
    }

    private static String git(Path root, String... arguments) {
        try {
            List<String> command = new ArrayList<>(List.of("git", "-C", root.toString()));
            command.addAll(List.of(arguments));
            Process process = new ProcessBuilder(command).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            String output = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return process.waitFor() == 0 ? output : "";
        } catch (IOException noGit) {
            return "";
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            return "";
        }
    }
}
