package dev.sidewinder.bench.simulate;

import dev.sidewinder.bench.Main;
import dev.sidewinder.engine.cuda.KvFormat;
import dev.sidewinder.kvcache.ReuseEstimate;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.SchedulerLimits;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.EnumMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.OptionalLong;
import java.util.concurrent.Callable;
import picocli.CommandLine;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;

/// `./sidewinder simulate`: an hour of traffic in seconds, on a GPU that need not be there.
@Command(name = "sidewinder simulate", mixinStandardHelpOptions = true, sortOptions = false, description = {
    "Plays traffic on the real scheduler and caches, with a clock that jumps and steps that cost what arithmetic says. Prints",
    "throughput, waiting times, hit rates and what the caches did; docs/simulator.md says what it knows and what it assumes."})
public final class SimulateCommand implements Callable<Integer> {

    @Option(names = "--model", paramLabel = "MODEL", defaultValue = "synthetic:nano-30b-fp8",
            description = "Checkpoint folder or synthetic:SHAPE; only its sizes are read (default: ${DEFAULT-VALUE}).")
    String model;

    @Option(names = "--gpu", paramLabel = "h100|h200", defaultValue = "h100", description = "What it runs on (default: ${DEFAULT-VALUE}).")
    String gpu;

    @Option(names = "--kv", paramLabel = "bf16|fp8", defaultValue = "fp8", description = "Format of keys and values (default: ${DEFAULT-VALUE}).")
    String kvFormat;

    @Option(names = "--host-gib", paramLabel = "N",
            description = "Pinned memory of the host for suspended sequences, in GiB (default: half of what the caches take).")
    Double hostGibibytes;

    @Option(names = "--minutes", paramLabel = "N", defaultValue = "60", description = "How long requests come (default: ${DEFAULT-VALUE}).")
    double minutes;

    @Option(names = "--warm-up", paramLabel = "N",
            description = "Minutes at the start whose requests do not count (default: a tenth of --minutes).")
    Double warmUpMinutes;

    @Option(names = "--seed", paramLabel = "N", defaultValue = "1", description = "Of the traffic (default: ${DEFAULT-VALUE}).")
    long seed;

    @Option(names = "--chats", paramLabel = "RATE", defaultValue = "1", description = "Chats that begin in a second (default: ${DEFAULT-VALUE}).")
    double chats;

    @Option(names = "--agents", paramLabel = "RATE", defaultValue = "0.1",
            description = "Programs with tools that begin in a second (default: ${DEFAULT-VALUE}).")
    double agents;

    @Option(names = "--documents", paramLabel = "RATE", defaultValue = "0.025",
            description = "Long documents that are asked about, in a second (default: ${DEFAULT-VALUE}).")
    double documents;

    @Option(names = "--jobs", paramLabel = "RATE", defaultValue = "0.2",
            description = "Jobs in bursts of 40 that nobody waits for, in a second (default: ${DEFAULT-VALUE}).")
    double jobs;

    @Option(names = "--load", paramLabel = "FACTOR", defaultValue = "1", description = "By which the four rates are multiplied (default: ${DEFAULT-VALUE}).")
    double load;

    @Option(names = "--trace", paramLabel = "FILE", description = "Play this traffic instead: JSON lines, see docs/simulator.md.")
    Path trace;

    @Option(names = "--record", paramLabel = "FILE", description = "Write the traffic down, to be played with --trace.")
    Path record;

    @Option(names = "--step-tokens", paramLabel = "N", defaultValue = "8192", description = "Tokens in a step at most (default: ${DEFAULT-VALUE}).")
    int stepTokens;

    @Option(names = "--sequences", paramLabel = "N", defaultValue = "256", description = "Sequences in a step at most (default: ${DEFAULT-VALUE}).")
    int sequences;

    @Option(names = "--token-gap", paramLabel = "MILLIS", defaultValue = "50",
            description = "Time between two tokens that pieces of prompts keep to (default: ${DEFAULT-VALUE}, as in the server).")
    double tokenGapMillis;

    @Option(names = "--max-model-len", paramLabel = "N", defaultValue = "524288",
            description = "Prompt and answer of a request at most (default: ${DEFAULT-VALUE}).")
    int maxModelTokens;

    @Option(names = "--queue", paramLabel = "N", defaultValue = "1024", description = "Requests that wait at most (default: ${DEFAULT-VALUE}).")
    int queue;

    @Option(names = "--half-life", paramLabel = "LOOKUPS", description = "After which a use of a kept state counts half (default: as in the server).")
    double halfLife = ReuseEstimate.DEFAULT.halfLifeLookups();

    @Option(names = "--policy", paramLabel = "NAME", split = ",", description = "What to play: fcfs, fcfs+PART+PART…, all or all-PART-PART…, such as ${COMPLETION-CANDIDATES} (default: all).",
            completionCandidates = Policies.Names.class)
    List<String> policies = List.of();

    @Option(names = "--compare", description = "Play first come first served without reuse, each part alone with it, and all.")
    boolean compare;

    @Option(names = "--ablate", description = "Play all that there is, and all but each part.")
    boolean ablate;

    @Option(names = "--capacity", description = "Look for the most load with which each policy keeps --first-token and --gap for 99 of 100.")
    boolean capacity;

    @Option(names = "--first-token", paramLabel = "SECONDS", defaultValue = "5",
            description = "With --capacity: time to the first token (default: ${DEFAULT-VALUE}).")
    double firstTokenSeconds;

    @Option(names = "--gap", paramLabel = "MILLIS", defaultValue = "100",
            description = "With --capacity: time between two tokens (default: ${DEFAULT-VALUE}).")
    double gapMillis;

    @Option(names = "--attained-bandwidth", paramLabel = "PART", defaultValue = "" + Gpu.ATTAINED_BANDWIDTH,
            description = "Part of the copy rate that kernels reach (default: ${DEFAULT-VALUE}, assumed).")
    double attainedBandwidth;

    @Option(names = "--attained-products", paramLabel = "PART", defaultValue = "" + Gpu.ATTAINED_PRODUCTS,
            description = "Part of the rate of products that prompts reach (default: ${DEFAULT-VALUE}, assumed).")
    double attainedProducts;

    @Option(names = "--svg", paramLabel = "FILE", description = "Draw the timeline; with several policies one file for each.")
    Path svg;

    @Option(names = "--csv", paramLabel = "FILE", description = "Write the timeline down; with several policies one file for each.")
    Path csv;

    @Option(names = "--json", paramLabel = "FILE", description = "Write all results down.")
    Path json;

    /// Where results go; tests have them go elsewhere.
    PrintStream output = System.out;

    public static void main(String... arguments) {
        System.exit(Main.withShortErrors(new CommandLine(new SimulateCommand())).execute(arguments));
    }

    @Override
    public Integer call() throws IOException {
        var limits = new SchedulerLimits(sequences, stepTokens, maxModelTokens, Math.round(tokenGapMillis * 1e6));
        var span = new Simulation.Span(60 * minutes, 60 * (warmUpMinutes == null ? minutes / 10 : warmUpMinutes), Math.max(1, minutes * 60 / 300));
        var bounds = new Simulation.Bounds(limits, queue, new ReuseEstimate(halfLife, ReuseEstimate.DEFAULT.doubleWorkTokens()), span);
        SimulatedModel simulated = openModel(limits);
        List<Policy> chosen = chosen();
        if (capacity) {
            printCapacity(simulated, bounds, chosen);
            return 0;
        }
        Traffic traffic = traffic(load);
        if (record != null) {
            TraceFile.write(record, traffic);
        }
        var heading = new Heading(simulated.description(), traffic.description(), String.format(Locale.ROOT,
                "%.4g minutes, %,d requests at most; steps of %,d tokens and %,d sequences", minutes, traffic.requests(), stepTokens, sequences));
        output.printf("%s%n%s%n%s%n", heading.model(), heading.traffic(), heading.bounds());
        List<SimulationResult> results = new ArrayList<>();
        for (Policy policy : chosen) {
            long began = System.nanoTime();
            SimulationResult result = new Simulation(simulated, bounds, policy, traffic).run();
            ResultTable.print(result, output);
            output.printf(Locale.ROOT, "  simulated in %.1f s%n", (System.nanoTime() - began) / 1e9);
            results.add(result);
        }
        if (results.size() > 1) {
            ResultTable.printComparison(results, output);
        }
        write(heading, results);
        return 0;
    }

    private List<Policy> chosen() {
        if (compare || ablate) {
            // What both have is played once.
            var both = new LinkedHashSet<Policy>();
            both.addAll(compare ? Policies.COMPARED : List.of());
            both.addAll(ablate ? Policies.ABLATED : List.of());
            return List.copyOf(both);
        }
        return Policies.named(policies);
    }

    private void printCapacity(SimulatedModel simulated, Simulation.Bounds bounds, List<Policy> chosen) {
        if (trace != null) {
            throw new IllegalArgumentException("--capacity multiplies rates of generated traffic; a recorded one has none");
        }
        var promise = new Capacity(firstTokenSeconds, gapMillis / 1000);
        output.printf(Locale.ROOT, "%s%nload that keeps a first token within %.3g s and gaps within %.3g ms for 99 of 100, seed %d:%n", simulated.description(),
                firstTokenSeconds, gapMillis, seed);
        for (Policy policy : chosen) {
            double most = promise.most(factor -> new Simulation(simulated, bounds, policy, generated(factor)).run());
            output.printf(Locale.ROOT, "  %-16s %6.2f%n", policy.name(), most);
        }
    }

    private SimulatedModel openModel(SchedulerLimits limits) {
        Gpu device = Gpu.named(gpu);
        KvFormat format = switch (kvFormat.toLowerCase(Locale.ROOT)) {
            case "bf16" -> KvFormat.BF16;
            case "fp8" -> KvFormat.E4M3;
            default -> throw new IllegalArgumentException("--kv is \"" + kvFormat + "\"; it is bf16 or fp8");
        };
        try (Model opened = Model.openUnmade(model)) {
            return SimulatedModel.of(opened, device, device.rates(attainedBandwidth, attainedProducts), format, limits,
                    hostGibibytes == null ? OptionalLong.empty() : OptionalLong.of(Math.round(hostGibibytes * (1L << 30))));
        }
    }

    private Traffic traffic(double factor) throws IOException {
        return trace == null ? generated(factor) : TraceFile.read(trace);
    }

    private Traffic generated(double factor) {
        Map<TrafficKind, Double> rates = new EnumMap<>(TrafficKind.class);
        rates.put(TrafficKind.CHAT, factor * chats);
        rates.put(TrafficKind.AGENT, factor * agents);
        rates.put(TrafficKind.DOCUMENT, factor * documents);
        rates.put(TrafficKind.JOB, factor * jobs);
        return Traffic.generate(rates, 60 * minutes, seed);
    }

    private void write(Heading heading, List<SimulationResult> results) throws IOException {
        for (SimulationResult result : results) {
            if (svg != null) {
                Files.writeString(fileOf(svg, result, results.size()), TimelinePicture.of(heading, result));
            }
            if (csv != null) {
                Files.writeString(fileOf(csv, result, results.size()), ResultJson.timelineCsv(result));
            }
        }
        if (json != null) {
            Files.writeString(json, ResultJson.of(heading, results));
        }
    }

    /// With several results the policy's name comes before the ending.
    private static Path fileOf(Path file, SimulationResult result, int results) {
        if (results == 1) {
            return file;
        }
        String name = file.getFileName().toString();
        int dot = name.lastIndexOf('.') < 0 ? name.length() : name.lastIndexOf('.');
        return file.resolveSibling(name.substring(0, dot) + "-" + result.policy().name().replaceAll("[^a-zA-Z0-9]+", "-") + name.substring(dot));
    }
}
