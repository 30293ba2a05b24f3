package dev.sidewinder.server.cli;

import dev.sidewinder.server.auth.KeyLine;
import java.util.List;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Model.CommandSpec;
import picocli.CommandLine.Option;
import picocli.CommandLine.Spec;

/// `./sidewinder key`: makes a key, shows it once, and writes the line by which a server knows it.
@Command(name = "key", mixinStandardHelpOptions = true, description = {
    "Makes an API key. The line for the server's file of keys goes to standard output, the key itself, once, to standard error:",
    "", "  ./sidewinder key --id team-a >> keys", "  ./sidewinder serve --api-key-file keys"})
final class KeyCommand implements Callable<Integer> {

    @Option(names = "--id", paramLabel = "ID", required = true,
            description = "Whose key it is: requests of one id share turns, queue, prefixes and sessions.")
    String id;

    @Option(names = "--roles", paramLabel = "ROLE", split = ",", defaultValue = "inference",
            description = "What it opens: some of inference, operator, metrics, with commas (default: ${DEFAULT-VALUE}).")
    List<String> roles;

    @Option(names = "--weight", paramLabel = "N",
            description = "Share of turns and queue in proportion to other ids, 1 to 100; on all lines of an id the same (default: 1).")
    Integer weight;

    @Option(names = "--priority-floor", paramLabel = "N",
            description = "The most urgent priority its requests get, -1000 to 1000; on all lines of an id the same (default: any).")
    Integer priorityFloor;

    @Spec
    CommandSpec spec;

    @Override
    public Integer call() {
        KeyLine made;
        try {
            made = KeyLine.make(id, roles, weight, priorityFloor);
        } catch (IllegalArgumentException wrong) {
            throw CommandException.wrongUsage(wrong.getMessage());
        }
        spec.commandLine().getErr().println("the key of " + id + ", shown this once: " + made.key());
        spec.commandLine().getOut().println(made.line());
        return 0;
    }
}
