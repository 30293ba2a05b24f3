package dev.sidewinder.server.cli;

import com.sun.management.OperatingSystemMXBean;
import dev.sidewinder.engine.BackendUnavailableException;
import dev.sidewinder.model.Model;
import dev.sidewinder.model.synthetic.SyntheticModel;
import java.lang.management.ManagementFactory;
import java.util.List;
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

    @Option(names = "--backend", paramLabel = "cpu|cuda", defaultValue = "cpu",
            description = "Whose memory to fit into: this machine's, or a GPU's (default: ${DEFAULT-VALUE}).")
    String backend;

    @Option(names = "--device-memory", paramLabel = "BYTES", converter = ByteSize.Converter.class,
            description = "Free memory of a GPU that need not be here, for example 79GiB; implies --backend cuda.")
    ByteSize deviceMemory;

    @Option(names = "--device", paramLabel = "N", defaultValue = "0", description = "Which GPU, from 0 (default: ${DEFAULT-VALUE}).")
    int device;

    @Option(names = "--json", description = "Print one JSON object.")
    boolean json;

    @Override
    public Integer call() {
        if (!List.of("cpu", "cuda").contains(backend)) {
            throw CommandException.wrongUsage("--backend is \"" + backend + "\"; it is cpu or cuda");
        }
        if (backend.equals("cuda") || deviceMemory != null) {
            if (memory != null) {
                throw CommandException.wrongUsage("--memory is a machine's; say --device-memory for a GPU's");
            }
            System.out.println(inspectDevice());
            return 0;
        }
        Inspection inspection = inspect(memory == null ? machineMemory() : memory.bytes());
        System.out.println(json ? inspection.json() : inspection.text());
        return 0;
    }

    /// Synthetic weights are looked at unmade.
    private String inspectDevice() {
        try (Model model = Model.openUnmade(location)) {
            DeviceInspection found = deviceMemory == null
                    ? DeviceInspection.here(model, device, Inspection.LENGTHS)
                    : DeviceInspection.stated(model, deviceMemory.bytes(), Inspection.LENGTHS);
            Inspection inspection = Inspection.of(model, machineMemory());
            return json ? inspection.json(found) : inspection.text(found);
        } catch (BackendUnavailableException unavailable) {
            throw new CommandException(unavailable.getMessage()
                    + (deviceMemory == null ? "; --device-memory 79GiB looks at a GPU that is not here" : ""));
        }
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
