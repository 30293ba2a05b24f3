package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.kvcache.ReuseEstimate;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class CapacityTest {

    @ParameterizedTest
    @ValueSource(doubles = {0.02, 0.49, 0.5, 0.51, 0.999, 1, 1.001, 3.3, 40})
    void findsTheBoundFromBelow(double bound) {
        double found = Capacity.search(load -> load <= bound);
        assertThat(found).isLessThanOrEqualTo(bound).isGreaterThan(bound / 1.06);
    }

    @Test
    void findsNothingWhereNothingIsKept() {
        assertThat(Capacity.search(_ -> false)).isZero();
    }

    @Test
    void givesUpWhereEverythingIsKept() {
        assertThat(Capacity.search(_ -> true)).isEqualTo(64);
    }

    @Test
    void isOfTheRunsItself() {
        SimulatedModel model = SimulatedModels.nano(Gpu.ATTAINED_BANDWIDTH, Gpu.ATTAINED_PRODUCTS);
        var bounds = new Simulation.Bounds(SimulatedModels.LIMITS, 1024, ReuseEstimate.DEFAULT, new Simulation.Span(60, 6, 1));
        var capacity = new Capacity(2, 0.3);
        double most = capacity.most(load -> run(model, bounds, load));
        assertThat(most).isBetween(0.2, 20.0);
        assertThat(capacity.isKept(run(model, bounds, most))).isTrue();
        assertThat(capacity.isKept(run(model, bounds, 8 * most))).isFalse();
    }

    @Test
    void refusesPromisesThatNobodyCanKeep() {
        assertThatThrownBy(() -> new Capacity(0, 0.1)).hasMessageContaining("within 0.0 s");
    }

    private static SimulationResult run(SimulatedModel model, Simulation.Bounds bounds, double load) {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 4 * load, TrafficKind.AGENT, 0.2 * load), 60, 3);
        return new Simulation(model, bounds, Policies.FCFS, traffic).run();
    }
}
