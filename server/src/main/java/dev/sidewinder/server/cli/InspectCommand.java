package dev.sidewinder.server.cli;

import com.sun.management.OperatingSystemMXBean;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.lang.management.ManagementFactory;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import picocli.CommandLine.Parameters;

/// `./sidewinder inspect`: what a model is made of, and what of it fits into memory.
@Command(name = "inspect", mixinStandardHelpOptions = true,
        description = "Shows layers, formats, parameters, bytes, and how many sequences of which length fit.")
final class InspectCommand implements Callable<Integer> {

    @Parameters(index = "0", paramLabel = "MODEL", description = "Checkpoint folder, or synthetic:SHAPE.")
    String location;

    @Option(names = "--memory", paramLabel = "BYTES", converter = ByteSize.Converter.class,
            description = "Memory to fit into, for example 80GiB (default: this machine's).")
    ByteSize memory;

    @Option(names = "--json", description = "Print one JSON object.")
    boolean json;

    @Override
    public Integer call() {
        Inspection inspection = inspect(memory == null ? machineMemory() : memory.bytes());
        System.out.println(json ? inspection.json() : inspection.text());
        return 0;
    }

    private Inspection inspect(long memoryBytes) {
        if (location.startsWith(SyntheticModel.PREFIX)) {
            return Inspection.of(location, SyntheticModel.parse(location), memoryBytes);
        }
        try (Model model = Model.open(location)) {
            return Inspection.of(model, memoryBytes);
        }
    }

    private static long machineMemory() {
        return ((OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean()).getTotalMemorySize();
    }
}
