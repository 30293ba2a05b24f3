package dev.sidewinder.bench.gpu;

import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.util.concurrent.TimeUnit;

/// What `nvidia-smi` says of a device: driver and clocks. Only asked, never set.
final class DeviceState {

    private static final int SECONDS = 5;

    private final int ordinal;

    /// @param ordinal of the device; without `CUDA_VISIBLE_DEVICES` both count alike
    DeviceState(int ordinal) {
        this.ordinal = ordinal;
    }

    /// Version of the driver; empty without `nvidia-smi`.
    String driver() {
        return query("driver_version");
    }

    /// Clocks and power now, for example `SM 1980 MHz; memory 2619 MHz; 412 W`; empty without `nvidia-smi`.
    String clocks() {
        String[] cells = query("clocks.sm,clocks.mem,power.draw").split(", *");
        return cells.length == 3 ? "SM " + cells[0] + "; memory " + cells[1] + "; " + cells[2] : "";
    }

    private String query(String what) {
        try {
            Process process = new ProcessBuilder("nvidia-smi", "--id=" + ordinal, "--query-gpu=" + what, "--format=csv,noheader")
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            process.getOutputStream().close();
            if (!process.waitFor(SECONDS, TimeUnit.SECONDS)) {
                process.destroyForcibly();
                return "";
            }
            String answer = new String(process.getInputStream().readAllBytes(), StandardCharsets.UTF_8).strip();
            return process.exitValue() == 0 ? answer.lines().findFirst().orElse("") : "";
        } catch (IOException noSuchProgram) {
            return "";
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            return "";
        }
    }
}
