package dev.sidewinder.server.cli;

import dev.sidewinder.model.checkpoint.CheckpointException;
import dev.sidewinder.server.eval.EvalException;
import java.io.PrintWriter;
import java.util.List;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.ParameterException;
import picocli.CommandLine.UnmatchedArgumentException;

/// Finds the command that the arguments name and runs it.
@Command(name = "sidewinder", description = "Inference server for the Nemotron-3 family, and its tools.",
        mixinStandardHelpOptions = true, synopsisSubcommandLabel = "COMMAND",
        subcommands = {ChatCommand.class, EvalCommand.class, InspectCommand.class, KeyCommand.class,
            LogitsCommand.class, MakeModelCommand.class})
public final class Commands {

    private static final int FAILURE = 1;
    private static final int WRONG_USAGE = 2;

    private Commands() {}

    /// Runs a command to its end.
    ///
    /// @return the exit status: 0, 1 for a failure, 2 for wrong arguments
    public static int run(String... arguments) {
        return commandLine().execute(arguments);
    }

    static CommandLine commandLine() {
        return new CommandLine(new Commands())
                .setParameterExceptionHandler((mistake, _) -> explain(mistake))
                .setExecutionExceptionHandler((failure, command, _) -> explain(failure, command));
    }

    private static int explain(ParameterException mistake) {
        CommandLine command = mistake.getCommandLine();
        String advice = "see ./" + command.getCommandSpec().qualifiedName() + " --help";
        if (mistake instanceof UnmatchedArgumentException unmatched) {
            List<String> suggestions = unmatched.getSuggestions();
            if (!suggestions.isEmpty()) {
                advice = "did you mean " + suggestions.getFirst() + "?";
            }
        }
        command.getErr().println(command.getCommandSpec().qualifiedName() + ": " + oneLine(mistake) + "; " + advice);
        return WRONG_USAGE;
    }

    private static int explain(Exception failure, CommandLine command) {
        PrintWriter errors = command.getErr();
        String name = command.getCommandSpec().qualifiedName();
        if (System.getenv("SIDEWINDER_DEBUG") != null) {
            failure.printStackTrace(errors);
        } else if (failure instanceof CommandException || failure instanceof CheckpointException
                || failure instanceof EvalException) {
            errors.println(name + ": " + oneLine(failure));
        } else {
            errors.println(name + ": " + failure.getClass().getSimpleName() + ": " + oneLine(failure)
                    + "; this is a bug of ours, SIDEWINDER_DEBUG=1 shows where");
        }
        errors.flush();
        return failure instanceof CommandException exception ? exception.status() : FAILURE;
    }

    private static String oneLine(Exception failure) {
        return String.valueOf(failure.getMessage()).replaceAll("\\s*\\R\\s*", " ");
    }
}
