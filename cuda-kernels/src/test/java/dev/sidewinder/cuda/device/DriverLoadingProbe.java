package dev.sidewinder.cuda.device;

import java.nio.file.Path;

/// Opens device 0 of each driver named on the command line, in a process of its own, and prints what came of it.
final class DriverLoadingProbe {

    private DriverLoadingProbe() {}

    public static void main(String[] libraries) {
        for (String library : libraries) {
            Driver driver = library.equals("system") ? Driver.system() : Driver.at(Path.of(library));
            try (Device device = Device.open(driver, 0)) {
                System.out.println("opened " + device.info().name());
            } catch (CudaUnavailableException e) {
                System.out.println("unavailable: " + e.getMessage());
            }
        }
    }
}
