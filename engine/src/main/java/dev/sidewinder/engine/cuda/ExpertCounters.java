package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_LONG;

import dev.sidewinder.cuda.device.CudaException;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Event;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.MoeRoute;
import dev.sidewinder.engine.ExpertLoad;
import java.lang.foreign.MemorySegment;
import java.util.ArrayList;
import java.util.List;

/// Brings the counters that routers keep on the device to an [ExpertLoad].
///
/// The copy runs on a stream of its own, beside the steps: nothing on the device waits for it, and the host looks whether it
/// has come when the next step begins. It may so count a step half; the next copy counts the rest.
final class ExpertCounters implements AutoCloseable {

    private final ExpertLoad load;
    private final List<DeviceLayer.Experts> layers;
    private final Stream stream;
    private final Event arrived;
    private final PinnedMemory memory;
    private boolean underWay;
    private long stepsOfCopy;

    /// @param load of the same model as the weights
    ExpertCounters(Device device, ExpertLoad load, DeviceWeights weights) {
        this.load = load;
        layers = weights.layers().stream()
                .filter(DeviceLayer.Experts.class::isInstance).map(DeviceLayer.Experts.class::cast).toList();
        stream = device.newStream();
        arrived = device.newEvent();
        // a model without experts has none either
        memory = device.pinned(Math.max(Long.BYTES, layers.stream().mapToLong(ExpertCounters::bytes).sum()));
    }

    private static long bytes(DeviceLayer.Experts layer) {
        return (long) (layer.count() + MoeRoute.Weights.WORK_COUNTERS) * Long.BYTES;
    }

    /// Asks for the counters now and then, and takes those that have come. Returns at once.
    ///
    /// @param steps given to the device so far
    void look(long steps) {
        if (underWay && arrived.isPassed()) {
            take();
        }
        if (!underWay && load.isDue(steps)) {
            ask(steps);
        }
    }

    /// Takes the counters as they are, and waits for them. No step may be under way.
    ///
    /// @param steps completed so far
    void settle(long steps) {
        if (underWay) {
            arrived.synchronize();
            take();
        }
        if (load.isBehind(steps)) {
            ask(steps);
            arrived.synchronize();
            take();
        }
    }

    private void ask(long steps) {
        long at = 0;
        for (DeviceLayer.Experts layer : layers) {
            stream.copyToHost(memory.segment().asSlice(at, bytes(layer)), layer.router().counters(), bytes(layer));
            at += bytes(layer);
        }
        stream.record(arrived);
        underWay = true;
        stepsOfCopy = steps;
    }

    private void take() {
        underWay = false;
        long[][] tokens = new long[layers.size()][];
        List<ExpertLoad.Work> work = new ArrayList<>();
        long at = 0;
        for (int layer = 0; layer < tokens.length; layer++) {
            MemorySegment counts = memory.segment().asSlice(at, bytes(layers.get(layer)));
            int experts = layers.get(layer).count();
            tokens[layer] = counts.asSlice(0, (long) experts * Long.BYTES).toArray(JAVA_LONG);
            work.add(new ExpertLoad.Work(counts.getAtIndex(JAVA_LONG, experts), counts.getAtIndex(JAVA_LONG, experts + 1)));
            at += counts.byteSize();
        }
        load.record(stepsOfCopy, tokens, work);
    }

    @Override
    public void close() {
        if (underWay) {
            waitForTheLast();
        }
        memory.close();
        arrived.close();
        stream.close();
    }

    private void waitForTheLast() {
        try {
            arrived.synchronize();
        } catch (CudaException e) {
            // The device has failed, and whoever used it knows. Nothing is copied any more.
        }
    }
}
