package dev.sidewinder.bench;

import java.util.concurrent.Callable;
import picocli.CommandLine.Command;
import picocli.CommandLine.Mixin;

/// `bench memory`: the read bandwidth that other results are measured against.
@Command(name = "memory", description = "Measures how fast this machine reads memory.")
final class MemoryCommand implements Callable<Integer> {

    @Mixin
    CommonOptions common;

    @Override
    public Integer call() throws Exception {
        int processors = Runtime.getRuntime().availableProcessors();
        var report = new Report("memory", "memory, 3 GiB read by all processors");
        for (int threads = 1; threads <= processors; threads *= 2) {
            common.narrator().begin(threads == 1 ? "1 thread" : threads + " threads");
            report.add(MemoryBandwidth.measure(threads, common.plan()), threads == 1 ? "1 thread" : threads + " threads");
        }
        common.publish(report);
        return 0;
    }
}
