package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.emulator.EmulatorExtension;
import dev.sidewinder.cuda.kernel.MoeExperts.Way;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// The router and the experts as one captured piece of a decode step: only what lies in memory changes.
class MoeGraphTest {

    private static final int ROWS = 8;
    private static final int REPLAYS = 40;
    private static final ExpertShape SHAPE = new ExpertShape(64, 8, 2, 64, 96);

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    private MoeRoute route;
    private MoeExperts experts;
    private MoeRoute.Weights router;
    private MoeExperts.Weights weights;

    /// Memory of one step.
    private record Place(ExpertMaps maps, MoeRoute.Rows rows, MoeExperts.Activations io) {

        static Place in(MoeMemory memory) {
            long values = (long) ROWS * SHAPE.hidden();
            long x = memory.unwritten(2 * values);
            long residual = memory.unwritten(4 * values);
            ExpertMaps maps = new ExpertMaps(SHAPE, ROWS, memory.unwritten(ExpertMaps.bytes(SHAPE, ROWS)));
            long middle = memory.unwritten(MoeExperts.middleBytes(SHAPE, ExpertFormat.BF16, ROWS));
            return new Place(maps, new MoeRoute.Rows(x, residual, memory.unwritten(4 * ROWS), ROWS, SHAPE.hidden()),
                    new MoeExperts.Activations(x, middle, 0, residual, 0, 0));
        }
    }

    @Test
    void aCapturedLayerFollowsItsInputs() {
        Random random = new Random(17);
        Stream stream = emulator.device().stream();
        route = new MoeRoute(emulator.kernels());
        experts = new MoeExperts(emulator.kernels());
        try (MoeMemory memory = new MoeMemory(emulator.device())) {
            // given one layer captured in one place, and another place where it runs directly
            load(memory, random);
            Place captured = Place.in(memory);
            Place direct = Place.in(memory);
            route.prepare(stream, captured.maps());
            route.prepare(stream, direct.maps());
            try (CudaGraph graph = stream.capture(() -> layer(stream, captured))) {
                for (int replay = 0; replay < REPLAYS; replay++) {
                    // when both get the same rows, some of them padding
                    int[] slots = random.ints(ROWS, -1, 3).toArray();
                    float[] residual = new float[ROWS * SHAPE.hidden()];
                    for (int i = 0; i < residual.length; i++) {
                        residual[i] = slots[i / SHAPE.hidden()] < 0 ? Float.NaN : (float) random.nextGaussian();
                    }
                    for (Place place : new Place[] {captured, direct}) {
                        memory.write(place.rows().rowSlot(), MemorySegment.ofArray(slots));
                        memory.write(place.rows().residual(), MemorySegment.ofArray(residual));
                    }
                    graph.launch(stream);
                    layer(stream, direct);

                    // then the same bits come out, and padding stays as it was
                    float[] found = memory.floats(captured.rows().residual(), residual.length);
                    assertThat(found).as("replay %d", replay).isEqualTo(memory.floats(direct.rows().residual(), residual.length));
                    for (int row = 0; row < ROWS; row++) {
                        float[] values = Arrays.copyOfRange(found, row * SHAPE.hidden(), (row + 1) * SHAPE.hidden());
                        for (float value : values) {
                            assertThat(Float.isNaN(value)).as("replay %d, row %d", replay, row).isEqualTo(slots[row] < 0);
                        }
                    }
                }
            }
        }
    }

    private void load(MoeMemory memory, Random random) {
        int hidden = SHAPE.hidden();
        boolean[] all = new boolean[SHAPE.experts()];
        Arrays.fill(all, true);
        weights = new MoeExperts.Weights(ExpertFormat.BF16,
                new ExpertWeights(ExpertFormat.BF16, SHAPE, true, all, 1, random).upload(memory),
                new ExpertWeights(ExpertFormat.BF16, SHAPE, false, all, 1, random).upload(memory));
        float[] norm = new float[hidden];
        Arrays.fill(norm, 1);
        float[] gate = new float[SHAPE.experts() * hidden];
        for (int i = 0; i < gate.length; i++) {
            gate[i] = (float) random.nextGaussian();
        }
        router = new MoeRoute.Weights(new RmsNorm.Weight(memory.upload(norm), RmsNorm.WeightType.F32, 1e-5f),
                memory.uploadBf16(gate), MoeRoute.GateType.BF16, memory.upload(new float[SHAPE.experts()]),
                memory.upload(new long[SHAPE.experts()]));
    }

    private void layer(Stream stream, Place place) {
        route.route(stream, place.maps(), place.rows(), router, new MoeRoute.Choosing(1, 1, true), Way.STREAM.tileTokens());
        experts.run(stream, Way.STREAM, place.maps(), ROWS, weights, place.io(), 2.5f);
    }
}
