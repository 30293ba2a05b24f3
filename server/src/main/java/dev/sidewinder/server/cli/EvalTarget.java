package dev.sidewinder.server.cli;

import dev.sidewinder.server.settings.Installation;
import java.net.URI;
import java.nio.file.Path;
import java.util.List;
import java.util.Optional;
import java.util.Set;

/// What `eval` asks.
sealed interface EvalTarget {

    String DEFAULT_ARITHMETIC = "bf16";
    Set<String> ARITHMETICS = Set.of("f32", "bf16", "fp8");

    /// What to call it in tables.
    String label();

    /// A server that somebody started.
    record Running(URI address) implements EvalTarget {
        @Override
        public String label() {
            return address.getAuthority();
        }
    }

    /// A model that gets a server of its own.
    record Folder(String label, String location, String arithmetic) implements EvalTarget {

        /// Flags of `serve`. Nobody else is waiting, so only as many sequences as are asked at once, which leaves the
        /// memory to long ones; and no case is given up for the time it takes.
        List<String> flags(int concurrency) {
            return List.of("--model", location, "--arithmetic", arithmetic, "--max-num-seqs", Integer.toString(concurrency),
                    "--limits-queue-time", "24h", "--limits-first-token-time", "24h", "--limits-total-time", "24h");
        }
    }

    /// One target, or two to be compared.
    ///
    /// @throws CommandException when the options contradict each other
    static List<EvalTarget> of(EvalCommand options, Installation installation) {
        if (options.url != null) {
            checkUrl(options);
        }
        String first = Optional.ofNullable(options.model).orElseGet(() -> installation.tinyModel().toString());
        String firstArithmetic = arithmetic("--arithmetic", options.arithmetic, DEFAULT_ARITHMETIC);
        String second = Optional.ofNullable(options.against).orElse(first);
        String secondArithmetic = arithmetic("--against-arithmetic", options.againstArithmetic, firstArithmetic);
        if (options.against == null && options.againstArithmetic == null) {
            return List.of(options.url != null ? new Running(options.url) : folder(first, firstArithmetic, false));
        }
        if (options.url != null) {
            return List.of(new Running(options.url), folder(second, secondArithmetic, false));
        }
        if (first.equals(second) && firstArithmetic.equals(secondArithmetic)) {
            throw CommandException.wrongUsage("both models are " + first + " in " + firstArithmetic
                    + ": name another folder with --against, or another arithmetic with --against-arithmetic");
        }
        boolean fullNames = !first.equals(second) && name(first).equals(name(second));
        return List.of(folder(first, firstArithmetic, fullNames), folder(second, secondArithmetic, fullNames));
    }

    private static void checkUrl(EvalCommand options) {
        URI url = options.url;
        if (url.getHost() == null || !("http".equals(url.getScheme()) || "https".equals(url.getScheme()))) {
            throw CommandException.wrongUsage("--url " + url + " is no http address, for example " + ChatCommand.DEFAULT_URL);
        }
        if (options.model != null || options.arithmetic != null) {
            throw CommandException.wrongUsage("--url names a server that runs already: --model and --arithmetic are its own");
        }
        if (options.againstArithmetic != null && options.against == null) {
            throw CommandException.wrongUsage("--against-arithmetic beside --url needs --against, the folder to start");
        }
    }

    private static String arithmetic(String option, String chosen, String otherwise) {
        if (chosen != null && !ARITHMETICS.contains(chosen)) {
            throw CommandException.wrongUsage(option + " " + chosen + " is not known; choose f32, bf16 or fp8");
        }
        return chosen == null ? otherwise : chosen;
    }

    private static Folder folder(String location, String arithmetic, boolean fullName) {
        return new Folder((fullName ? location : name(location)) + " " + arithmetic, location, arithmetic);
    }

    private static String name(String location) {
        Path name = Path.of(location).toAbsolutePath().normalize().getFileName();
        return name == null ? location : name.toString();
    }
}
