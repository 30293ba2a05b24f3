package dev.sidewinder.bench;

import dev.sidewinder.bench.gpu.GpuCommand;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ScopeType;

/// `./sidewinder bench`: every measurement is a subcommand.
@Command(name = "sidewinder bench", description = "Measures speed. Results go to bench/results/<machine>/.",
        mixinStandardHelpOptions = true, scope = ScopeType.INHERIT, synopsisSubcommandLabel = "COMMAND",
        subcommands = {ModelCommand.class, PeerCommand.class, EngineCommand.class, SseCommand.class, MemoryCommand.class,
            GpuCommand.class, JmhCommand.class})
public final class Main {

    private static final int FAILURE = 1;
    private static final int WRONG_USAGE = 2;

    private Main() {}

    public static void main(String... arguments) {
        System.exit(commandLine().execute(arguments));
    }

    static CommandLine commandLine() {
        var main = new CommandLine(new Main());
        // options behind the pattern are JMH's
        main.getSubcommands().get("jmh").setUnmatchedOptionsArePositionalParams(true);
        return withShortErrors(main);
    }

    /// Has a command's mistakes and failures told in one line.
    public static CommandLine withShortErrors(CommandLine line) {
        return line
                .setCaseInsensitiveEnumValuesAllowed(true)
                .setParameterExceptionHandler((mistake, _) -> {
                    CommandLine command = mistake.getCommandLine();
                    String name = command.getCommandSpec().qualifiedName();
                    command.getErr().println(name + ": " + oneLine(mistake) + "; see ./" + name + " --help");
                    return WRONG_USAGE;
                })
                .setExecutionExceptionHandler((failure, command, _) -> {
                    Narrator.detect().clear();
                    if (System.getenv("SIDEWINDER_DEBUG") != null) {
                        failure.printStackTrace(command.getErr());
                    } else {
                        command.getErr().println(command.getCommandSpec().qualifiedName() + ": "
                                + oneLine(failure) + " (SIDEWINDER_DEBUG=1 shows more)");
                    }
                    return FAILURE;
                });
    }

    private static String oneLine(Exception failure) {
        String message = failure.getMessage() == null ? failure.getClass().getSimpleName() : failure.getMessage();
        return message.replaceAll("\\s*\\R\\s*", " ");
    }
}
