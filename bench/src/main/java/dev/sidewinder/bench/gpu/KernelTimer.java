package dev.sidewinder.bench.gpu;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Event;
import dev.sidewinder.cuda.device.Stream;
import java.util.ArrayList;
import java.util.List;
import java.util.function.IntConsumer;

/// Times launches on a device: as links of a chain in a captured graph, which is how a decode step runs them. What the host
/// needs to launch them does not count; what lies between two kernels does.
final class KernelTimer {

    private static final int TRIALS = 2;

    private final Stream stream;
    private final Device device;
    private final Effort effort;

    KernelTimer(Device device, Effort effort) {
        this.device = device;
        this.stream = device.stream();
        this.effort = effort;
    }

    /// @param turns  sets of data
    /// @param launch gives the work on one set, 0 to `turns - 1`, to the device's main stream
    Spread time(int turns, IntConsumer launch) {
        for (int turn = 0; turn < turns; turn++) {
            launch.accept(turn);
        }
        stream.synchronize();
        double micros = trial(turns, launch);
        return measure(effort.chain(turns, micros), turns, launch);
    }

    /// About how long one launch takes.
    private double trial(int turns, IntConsumer launch) {
        try (CudaGraph graph = stream.capture(() -> chain(turns, turns, launch)); Event begin = device.newEvent();
                Event end = device.newEvent()) {
            double best = Double.MAX_VALUE;
            for (int i = 0; i < TRIALS; i++) {
                stream.record(begin);
                graph.launch(stream);
                stream.record(end);
                end.synchronize();
                best = Math.min(best, end.millisSince(begin) * 1e3 / turns);
            }
            return best;
        }
    }

    private Spread measure(int length, int turns, IntConsumer launch) {
        List<Event> events = new ArrayList<>();
        try (CudaGraph graph = stream.capture(() -> chain(length, turns, launch))) {
            graph.upload(stream);
            graph.launch(stream);
            for (int i = 0; i <= effort.repeats(); i++) {
                Event event = device.newEvent();
                events.add(event);
                stream.record(event);
                if (i < effort.repeats()) {
                    graph.launch(stream);
                }
            }
            stream.synchronize();
            double[] micros = new double[effort.repeats()];
            for (int i = 0; i < micros.length; i++) {
                micros[i] = Math.max(1e-3, events.get(i + 1).millisSince(events.get(i)) * 1e3 / length);
            }
            return Spread.of(micros);
        } finally {
            events.forEach(Event::close);
        }
    }

    private static void chain(int length, int turns, IntConsumer launch) {
        for (int i = 0; i < length; i++) {
            launch.accept(i % turns);
        }
    }
}
