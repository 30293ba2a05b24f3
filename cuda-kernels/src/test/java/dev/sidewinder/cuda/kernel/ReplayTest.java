package dev.sidewinder.cuda.kernel;

import dev.sidewinder.cuda.emulator.EmulatorExtension;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.extension.RegisterExtension;

/// Pieces of a decode step that are captured once and launched again and again: only what lies in memory changes.
class ReplayTest {

    @RegisterExtension
    final EmulatorExtension emulator = new EmulatorExtension();

    @Test
    void aCapturedLayerOfExpertsFollowsItsInputs() {
        new MoeGraphCheck(emulator.device(), emulator.kernels()).check(40, 17);
    }

    @Test
    void aCapturedStateUpdateFollowsItsInputs() {
        StateUpdateReplays replays = new StateUpdateReplays(emulator.device(), emulator.kernels());
        replays.check(MambaShapes.SMALL, 5, 60, 18);
        replays.check(MambaShapes.ODD, 3, 20, 19);
    }
}
