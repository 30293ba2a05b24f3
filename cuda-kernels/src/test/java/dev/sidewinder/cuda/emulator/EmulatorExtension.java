package dev.sidewinder.cuda.emulator;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.kernel.Kernels;
import org.junit.jupiter.api.extension.AfterEachCallback;
import org.junit.jupiter.api.extension.BeforeEachCallback;
import org.junit.jupiter.api.extension.ExtensionContext;

/// An [Emulator] for each test of a class, with a seed of its own:
///
///     @RegisterExtension
///     final EmulatorExtension emulator = new EmulatorExtension();
///
/// The seed follows from the test's name, so that a failure repeats; `-Dsidewinder.emulator.seed=N` sets another for all.
/// A failing test says which it was. `-Dsidewinder.emulator.watch=true` reports every access out of bounds where it happens, reads
/// among them, see [EmulatorSettings#underWatch]: some hundred times slower. What a test leaves open on the device fails it.
public final class EmulatorExtension implements BeforeEachCallback, AfterEachCallback {

    private static final String SEED_PROPERTY = "sidewinder.emulator.seed";

    private static final String WATCH_PROPERTY = "sidewinder.emulator.watch";

    private final EmulatorSettings wanted;
    private Emulator emulator;

    public EmulatorExtension() {
        this(EmulatorSettings.withSeed(0));
    }

    /// @param settings for every test; the seed is replaced
    public EmulatorExtension(EmulatorSettings settings) {
        this.wanted = settings;
    }

    @Override
    public void beforeEach(ExtensionContext context) {
        long seed = Long.getLong(SEED_PROPERTY, context.getUniqueId().hashCode());
        EmulatorSettings settings = wanted.withSeedReplaced(seed);
        emulator = Emulator.open(Boolean.getBoolean(WATCH_PROPERTY) ? settings.underWatch().withBlockSeconds(600) : settings);
    }

    @Override
    public void afterEach(ExtensionContext context) {
        Emulator ended = emulator;
        emulator = null;
        if (ended == null) {
            return;  // it did not open, and that exception is the one to see
        }
        try {
            ended.close();
        } catch (RuntimeException e) {
            // After a failure of the test its own exception says more than what could not be closed because of it.
            if (context.getExecutionException().isEmpty()) {
                throw e;
            }
            context.getExecutionException().get().addSuppressed(e);
        }
        context.getExecutionException().ifPresent(failure -> failure.addSuppressed(
                new IllegalStateException("emulated with -D" + SEED_PROPERTY + "=" + ended.settings().seed())));
    }

    public Device device() {
        return emulator.device();
    }

    public Kernels kernels() {
        return emulator.kernels();
    }

    public Emulator emulator() {
        return emulator;
    }
}
