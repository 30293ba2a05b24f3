package dev.sidewinder.bench;

import java.util.concurrent.Callable;
import org.openjdk.jmh.runner.Runner;
import org.openjdk.jmh.runner.options.CommandLineOptions;
import picocli.CommandLine.Command;
import picocli.CommandLine.Parameters;

/// `bench jmh`: hot loops one by one.
@Command(name = "jmh", description = {"Runs the JMH benchmarks whose name matches a pattern.",
    "What follows the pattern goes to JMH as it is: -l lists them, -f 1 forks once."})
final class JmhCommand implements Callable<Integer> {

    @Parameters(paramLabel = "PATTERN", arity = "0..*", description = "Regular expression, and options of JMH.")
    String[] arguments = new String[0];

    @Override
    public Integer call() throws Exception {
        var options = new CommandLineOptions(arguments);
        var runner = new Runner(options);
        if (options.shouldList()) {
            runner.list();
        } else {
            runner.run();
        }
        return 0;
    }
}
