package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.device.CudaGraph;
import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.MoeExperts.Way;
import java.lang.foreign.MemorySegment;
import java.util.Arrays;
import java.util.Random;

/// Launches one captured layer of router and experts again and again with other rows, some of them padding, beside one that
/// runs directly: the same bits have to come out, and padding has to stay as it was.
final class MoeGraphCheck {

    private static final int ROWS = 8;
    private static final ExpertShape SHAPE = new ExpertShape(64, 8, 2, 64, 96);

    private final Device device;
    private final MoeRoute route;
    private final MoeExperts experts;
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

    MoeGraphCheck(Device device, Kernels kernels) {
        this.device = device;
        this.route = new MoeRoute(kernels);
        this.experts = new MoeExperts(kernels);
    }

    /// @throws AssertionError naming replay and place of the first difference
    void check(int replays, long seed) {
        Random random = new Random(seed);
        Stream stream = device.stream();
        try (MoeMemory memory = new MoeMemory(device)) {
            load(memory, random);
            Place captured = Place.in(memory);
            Place direct = Place.in(memory);
            route.prepare(stream, captured.maps());
            route.prepare(stream, direct.maps());
            try (CudaGraph graph = stream.capture(() -> layer(stream, captured))) {
                for (int replay = 0; replay < replays; replay++) {
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
                    compare("seed " + seed + ", replay " + replay, slots, residual,
                            memory.floats(captured.rows().residual(), residual.length),
                            memory.floats(direct.rows().residual(), residual.length));
                }
            }
        }
    }

    private static void compare(String what, int[] slots, float[] before, float[] captured, float[] direct) {
        boolean changed = false;
        for (int i = 0; i < captured.length; i++) {
            int row = i / SHAPE.hidden();
            if (Float.isNaN(captured[i]) != slots[row] < 0) {
                throw new AssertionError("%s: row %d in slot %d is %s at %d".formatted(what, row, slots[row], captured[i],
                        i % SHAPE.hidden()));
            }
            changed |= captured[i] != before[i] && slots[row] >= 0;
        }
        if (!changed && Arrays.stream(slots).anyMatch(slot -> slot >= 0)) {
            throw new AssertionError(what + ": the layer changed nothing");
        }
        Closeness.checkSameBits(what + ", captured against direct", captured, direct);
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
        route.route(stream, place.maps(), place.rows(), router, new MoeRoute.Choosing(1, 1, true),
                ExpertTiling.uncounted(Way.STREAM.tileTokens()));
        experts.run(stream, Way.STREAM, place.maps(), ROWS, weights, place.io(), 2.5f);
    }
}
