package dev.sidewinder.bench.simulate;

import dev.sidewinder.engine.BackendMemory;
import dev.sidewinder.engine.EngineLimits;
import dev.sidewinder.engine.cuda.KvFormat;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.model.Model;
import dev.sidewinder.scheduler.SchedulerLimits;
import java.util.OptionalLong;

/// Models on a GPU for tests.
final class SimulatedModels {

    static final SchedulerLimits LIMITS = new SchedulerLimits(256, 8192 + 256, 1 << 20, EngineLimits.DEFAULT_TOKEN_GAP.toNanos());

    private SimulatedModels() {}

    /// The 30B shape in FP8 on an H100.
    static SimulatedModel nano(double attainedBandwidth, double attainedProducts) {
        try (Model model = Model.openUnmade("synthetic:nano-30b-fp8")) {
            return SimulatedModel.of(model, Gpu.H100, Gpu.H100.rates(attainedBandwidth, attainedProducts), KvFormat.E4M3, LIMITS,
                    OptionalLong.of(16L << 30));
        }
    }

    /// The same with another pool.
    static SimulatedModel nano(FrameShape frames, HostShape host) {
        SimulatedModel model = nano(Gpu.ATTAINED_BANDWIDTH, Gpu.ATTAINED_PRODUCTS);
        return new SimulatedModel(model.description(), new BackendMemory(frames, host), model.stateBytes(), model.blockBytes(), model.timer());
    }
}
