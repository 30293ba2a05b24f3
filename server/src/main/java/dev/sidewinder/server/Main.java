package dev.sidewinder.server;

import dev.sidewinder.server.cli.Commands;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.annotations.QuarkusMain;

/// Where the process starts: `serve` becomes the server, every other command runs without one.
@QuarkusMain
public final class Main {

    private Main() {}

    public static void main(String... arguments) {
        if (arguments.length > 0 && arguments[0].equals("serve")) {
            Quarkus.run(arguments);
            return;
        }
        System.exit(Commands.run(arguments));
    }
}
