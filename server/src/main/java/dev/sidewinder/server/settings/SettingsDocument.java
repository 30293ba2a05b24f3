package dev.sidewinder.server.settings;

/// Writes the table of settings for people: `serve --help` and docs/settings.md.
public final class SettingsDocument {

    private SettingsDocument() {}

    /// What `serve --help` prints.
    public static String help() {
        var text = new StringBuilder("""
                usage: ./sidewinder serve [flags]

                Starts the OpenAI-compatible server. A setting is a flag, an environment variable (sidewinder.http.port =
                SIDEWINDER_HTTP_PORT) or a line of a properties file (sidewinder.properties in the working directory, or
                --config FILE); the earlier of these wins.

                  --config FILE
                        settings file to read

                """);
        for (Setting<?> setting : Settings.ALL) {
            text.append("  ").append(String.join(", ", setting.flags())).append("\n        ")
                    .append(setting.meaning().replace("`", "")).append("\n        ")
                    .append(setting.kind().allowed().replace("`", ""));
            if (!setting.fallback().isEmpty()) {
                text.append("; default ").append(setting.fallback());
            }
            text.append("\n\n");
        }
        text.append("  ").append(builtIn()).append("\n        accepted from other servers' templates, change nothing\n");
        return text.toString();
    }

    /// The content of docs/settings.md.
    public static String markdown() {
        var text = new StringBuilder("""
                # Settings

                <!-- Made from the table in Settings.java; SettingsDocumentTest compares and says how to renew it. -->

                A setting can be written in three places; the earlier wins:

                1. as a flag of `./sidewinder serve`: any name below as `--` and the name without `sidewinder.`, dots as
                   dashes (`--http-heartbeat 20s`), or one of the short flags;
                2. as an environment variable: the name in capitals, dots and dashes as underscores
                   (`SIDEWINDER_HTTP_PORT=8001`);
                3. as a line of a properties file: `sidewinder.properties` in the working directory, or the one that
                   `--config FILE` names.

                An unknown name in any of them stops the start. Sizes take `KiB`, `MiB`, `GiB`, times `ms`, `s`, `m`, `h`.

                | name | short flags | takes | default | meaning |
                |---|---|---|---|---|
                """);
        for (Setting<?> setting : Settings.ALL) {
            text.append("| `").append(setting.name()).append("` | ")
                    .append(String.join(" ", setting.aliases().stream().map(alias -> "`" + alias + "`").toList()))
                    .append(" | ").append(setting.kind().allowed()).append(" | ")
                    .append(setting.fallback().isEmpty() ? "" : "`" + setting.fallback() + "`").append(" | ")
                    .append(setting.meaning()).append(" |\n");
        }
        return text.append("\nFlags of other servers' templates that are accepted and change nothing: `")
                .append(builtIn().replace(", ", "`, `")).append("`.\n").toString();
    }

    private static String builtIn() {
        return String.join(", ", Settings.BUILT_IN.keySet().stream().sorted().toList());
    }
}
