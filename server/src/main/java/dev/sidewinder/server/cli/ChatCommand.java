package dev.sidewinder.server.cli;

import dev.sidewinder.server.auth.ClientKey;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.net.URI;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Optional;
import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Option;
import sun.misc.Signal;

/// `./sidewinder chat`: talks to a model in the terminal, or through a pipe.
@Command(name = "chat", mixinStandardHelpOptions = true, description = {
    "Talks to a model in the terminal; every line of input is a turn. Reads a pipe just as well.",
    "Uses the server at --url; where none answers and no --url is given, it starts one for as long as the chat lasts."})
final class ChatCommand implements Callable<Integer> {

    static final String DEFAULT_URL = "http://127.0.0.1:8000";
    private static final int INTERRUPTED = 130;  // what a shell reports for SIGINT

    @Option(names = "--url", paramLabel = "URL", description = "The server (default: " + DEFAULT_URL + ").")
    URI url;

    @Option(names = "--model", paramLabel = "MODEL",
            description = "Model to ask the server for; for a server that chat starts: what to serve.")
    String model;

    @Option(names = "--system", paramLabel = "TEXT", description = "System message.")
    String system;

    @Option(names = "--no-thinking", description = "Ask for answers without reasoning.")
    boolean noThinking;

    @Option(names = "--temperature", paramLabel = "T", description = "Randomness; 0 = always the likeliest token.")
    Double temperature;

    @Option(names = "--max-tokens", paramLabel = "N", description = "Length of an answer at most, reasoning included.")
    Integer maxTokens;

    @Override
    public Integer call() throws Exception {
        URI address = url == null ? URI.create(DEFAULT_URL) : checked(url);
        ClientKey key = key();
        var client = new ChatClient(address, key);
        Optional<String> offered = client.firstModel();
        if (offered.isPresent()) {
            return converse(client, model == null ? offered.get() : model);
        }
        client.close();
        if (url != null) {
            throw new CommandException("no server answers at " + url + "; start one with ./sidewinder serve");
        }
        List<String> flags = model == null ? List.of() : List.of("--model", model);
        System.err.print("no server answers: ");
        try (LocalServer server = LocalServer.start(flags, model == null ? "one" : "one for " + model, System.err)) {
            var own = new ChatClient(server.address(), key);
            return converse(own, own.firstModel().orElseThrow(() -> new CommandException("the server vanished")));
        }
    }

    private static ClientKey key() {
        try {
            return ClientKey.of(System.getenv());
        } catch (IllegalArgumentException wrong) {
            throw CommandException.wrongUsage(wrong.getMessage());
        }
    }

    private int converse(ChatClient client, String name) throws Exception {
        Terminal terminal = Terminal.detect();
        var options = new ChatClient.Options(name, noThinking ? Boolean.FALSE : null, temperature, maxTokens);
        var input = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        if (terminal.interactive()) {
            System.err.println(terminal.dim(name + " (/help lists commands)"));
        }
        try (client) {
            var session = new ChatSession(client, options, system, terminal, input, System.out, System.err);
            Signal.handle(new Signal("INT"), _ -> {
                if (!session.interrupt()) {
                    Runtime.getRuntime().exit(INTERRUPTED);
                }
            });
            return session.run();
        }
    }

    private static URI checked(URI url) {
        if (url.getHost() == null || !("http".equals(url.getScheme()) || "https".equals(url.getScheme()))) {
            throw CommandException.wrongUsage("--url " + url + " is no http address, for example " + DEFAULT_URL);
        }
        return url;
    }
}
