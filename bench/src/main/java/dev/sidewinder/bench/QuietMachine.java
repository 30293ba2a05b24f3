package dev.sidewinder.bench;

import com.sun.management.OperatingSystemMXBean;
import java.io.IOException;
import java.lang.management.ManagementFactory;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;

/// Tells how busy other programs keep the processors: before a repeat, to wait for them to stop, and after it, to say
/// whether the result can be used. Linux only; elsewhere nothing is known and every repeat is marked as not quiet.
final class QuietMachine {

    private static final Path COUNTERS = Path.of("/proc/stat");
    /// The kernel's clock for these counters; 100 on every Linux we know.
    private static final double TICKS_PER_SECOND = 100;
    /// Processors that others may use before a repeat starts, and in a repeat that counts.
    private static final double IDLE_SHARE = 0.06;
    private static final double QUIET_SHARE = 0.05;
    /// The counters move in steps of 10 ms: three of them are noise of the reading.
    private static final double NOISE_SECONDS = 0.031;
    private static final Duration LOOK = Duration.ofMillis(250);

    private static final OperatingSystemMXBean PROCESS =
            (OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();

    /// A moment to measure from.
    record Mark(long wallNanos, double busySeconds, double ownSeconds) {}

    /// What others did since a mark.
    ///
    /// @param share processors they kept busy: 0 = none, 1 = one of them fully; NaN = unknown
    /// @param quiet whether a measurement taken meanwhile can be used
    record Disturbance(double share, boolean quiet) {}

    private QuietMachine() {}

    static Mark mark() {
        return new Mark(System.nanoTime(), busySeconds(), PROCESS.getProcessCpuTime() * 1e-9);
    }

    static Disturbance since(Mark mark) {
        Mark now = mark();
        double wall = (now.wallNanos() - mark.wallNanos()) * 1e-9;
        double others = (now.busySeconds() - mark.busySeconds()) - (now.ownSeconds() - mark.ownSeconds());
        double share = Math.max(0, others) / wall;
        boolean quiet = share < QUIET_SHARE || share * wall < NOISE_SECONDS;
        return new Disturbance(share, quiet);
    }

    /// Waits until others have been quiet for half a second, `limit` at most.
    static void await(Duration limit) throws InterruptedException {
        long end = System.nanoTime() + limit.toNanos();
        int quietLooks = 0;
        while (quietLooks < 2 && System.nanoTime() < end) {
            Mark mark = mark();
            Thread.sleep(LOOK);
            quietLooks = since(mark).share() < IDLE_SHARE ? quietLooks + 1 : 0;
        }
    }

    /// Time all processors together have been busy, waiting for the hypervisor included; NaN when there are no counters.
    private static double busySeconds() {
        try {
            return busySeconds(Files.readString(COUNTERS));
        } catch (IOException noCounters) {
            return Double.NaN;
        }
    }

    /// First line: `cpu user nice system idle iowait irq softirq steal …` in ticks.
    static double busySeconds(String counters) {
        String[] fields = counters.substring(0, counters.indexOf('\n')).trim().split("\\s+");
        long ticks = 0;
        for (int field = 1; field <= 8; field++) {
            boolean idle = field == 4 || field == 5;
            ticks += idle ? 0 : Long.parseLong(fields[field]);
        }
        return ticks / TICKS_PER_SECOND;
    }
}
