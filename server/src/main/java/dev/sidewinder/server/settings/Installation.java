package dev.sidewinder.server.settings;

import java.nio.file.Path;

/// The folder this program was installed to, a clone or a package. Beside the program it holds `models`.
public record Installation(Path folder) {

    /// Set by `./sidewinder`; a package sets it in its own start script.
    private static final String PROPERTY = "sidewinder.root";

    /// The one this process belongs to; the working directory where nobody says.
    public static Installation here() {
        return new Installation(Path.of(System.getProperty(PROPERTY, "")).toAbsolutePath().normalize());
    }

    /// The model that was trained for this project.
    public Path tinyModel() {
        return folder.resolve("models").resolve("tiny");
    }
}
