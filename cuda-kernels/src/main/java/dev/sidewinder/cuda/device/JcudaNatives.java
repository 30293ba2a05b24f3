package dev.sidewinder.cuda.device;

import java.io.IOException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.Path;

/// Lets JCuda load its native libraries from a folder that only this user can enter.
///
/// JCuda unpacks a library to a fixed name under `java.io.tmpdir` and trusts a file that is there already: anybody on the
/// machine could have put it there. It takes no other folder, so for the moment of loading that property names one of our
/// own; the mapping outlives the file. The JDK's own temporary files do not follow the property: it reads it once.
final class JcudaNatives {

    private static final String FOLDER = "java.io.tmpdir";

    private JcudaNatives() {}

    /// @param what for messages: `JCuda`
    /// @param firstTouch uses the class whose initialiser loads the library
    /// @throws CudaUnavailableException when the library cannot be unpacked or loaded
    static synchronized void load(String what, Runnable firstTouch) {
        String before = System.getProperty(FOLDER);
        try {
            Path folder = Files.createTempDirectory("sidewinder-jcuda-");
            try {
                System.setProperty(FOLDER, folder.toString());
                firstTouch.run();
            } finally {
                System.setProperty(FOLDER, before);
                delete(folder);
            }
        } catch (IOException e) {
            throw new CudaUnavailableException(what + " could not be unpacked under " + before + ": " + e.getMessage(), e);
        } catch (LinkageError e) {
            throw new CudaUnavailableException(what + "'s native library does not load (it is made for Linux on x86-64, and "
                    + "LD_BIND_NOW must not be set)", e);
        }
    }

    private static void delete(Path folder) throws IOException {
        try (DirectoryStream<Path> files = Files.newDirectoryStream(folder)) {
            for (Path file : files) {
                Files.delete(file);
            }
        }
        Files.delete(folder);
    }
}
