package dev.sidewinder.server;

import dev.sidewinder.engine.cpu.CpuBackend;
import dev.sidewinder.server.cli.Commands;
import dev.sidewinder.server.ops.ServeApplication;
import dev.sidewinder.server.settings.Installation;
import dev.sidewinder.server.settings.ServerConfig;
import dev.sidewinder.server.settings.SettingsDocument;
import dev.sidewinder.server.settings.SettingsException;
import io.quarkus.runtime.Quarkus;
import io.quarkus.runtime.annotations.QuarkusMain;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;

/// Where the process starts: `serve` becomes the server, every other command runs without one.
@QuarkusMain
public final class Main {

    private Main() {}

    public static void main(String... arguments) {
        if (arguments.length > 0 && arguments[0].equals("serve")) {
            serve(arguments);
            return;
        }
        System.exit(Commands.run(arguments));
    }

    private static void serve(String... arguments) {
        List<String> flags = Arrays.asList(arguments).subList(1, arguments.length);
        if (flags.contains("--help") || flags.contains("-h")) {
            System.out.print(SettingsDocument.help());
            return;
        }
        ServerConfig config;
        try {
            // read here for the message, and again inside, where the application is put together
            config = ServerConfig.read(flags, System.getenv(), Path.of(""), Installation.here());
        } catch (SettingsException e) {
            System.err.println("sidewinder serve: " + e.getMessage());
            System.exit(1);
            return;
        }
        ServerConfig.BackendKind backend = config.engine().backend();
        if (backend == ServerConfig.BackendKind.CPU || backend == ServerConfig.BackendKind.AUTO) {
            // unpacking a library of 90 MB hides behind the start of Quarkus
            Thread.ofPlatform().daemon().name("sidewinder-preload").start(CpuBackend::preload);
        }
        // before any class of Netty: see ConnectionHook
        System.setProperty("io.netty.bootstrap.extensions", "serviceload");
        Quarkus.run(ServeApplication.class, arguments);
    }
}
