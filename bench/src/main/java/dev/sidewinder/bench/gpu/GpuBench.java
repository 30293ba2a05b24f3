package dev.sidewinder.bench.gpu;

import dev.sidewinder.cuda.device.DeviceInfo;
import dev.sidewinder.cuda.device.Driver;
import dev.sidewinder.cuda.kernel.KernelCheck;
import dev.sidewinder.cuda.kernel.KernelCheck.Extent;
import dev.sidewinder.cuda.kernel.KernelChecks;
import dev.sidewinder.cuda.kernel.KernelImages;
import dev.sidewinder.engine.cuda.CudaDevice;
import dev.sidewinder.engine.cuda.KvFormat;
import java.io.IOException;
import java.io.PrintStream;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.function.Consumer;
import java.util.function.Supplier;

/// The whole course of `bench gpu` on one device: comparisons with the CPU, single kernels, whole steps of a model, other
/// libraries, and at the end what came of it. Belongs to one thread.
public final class GpuBench {

    /// What can be asked for.
    public enum Part { CHECKS, KERNELS, STEPS, RECALL, PYTORCH }

    /// Which kernels, on which device.
    ///
    /// @param driver  library in place of the system's driver
    /// @param kernels folder of compiled kernels in place of those of this build
    /// @param blas    the cuBLAS to load in place of the system's
    public record Target(Optional<Path> driver, int ordinal, Optional<Path> kernels, Optional<Path> blas) {

        private CudaDevice forModel() {
            return CudaDevice.open(driver, kernels, ordinal);
        }

        private Session open() {
            return new Session(driver.map(Driver::at).orElseGet(Driver::system), ordinal,
                    kernels.map(KernelImages::in).orElseGet(KernelImages::packaged));
        }
    }

    /// What to do, and how much of it.
    ///
    /// @param only    families of kernels, or parts of their names; empty for all
    /// @param limit   after which nothing new begins; null for none
    /// @param replays of each captured graph in a comparison
    /// @param recall  location of a trained model, for [Part#RECALL]
    /// @param python  the Python that may have PyTorch
    /// @param results where a folder for the device is made
    public record Settings(Set<Part> parts, List<String> only, Duration limit, long seed, int replays, Sizes sizes, int repeats,
            Optional<String> recall, String python, Path results, String commit) {

        public Settings {
            if (parts.contains(Part.RECALL) && recall.isEmpty()) {
                throw new IllegalArgumentException("a recall test without a model");
            }
            parts = Set.copyOf(parts);
            only = List.copyOf(only);
        }

        boolean wants(Part part) {
            return parts.contains(part);
        }

        private boolean wants(String family) {
            return only.isEmpty() || only.stream().anyMatch(family::contains);
        }
    }

    /// Which sizes kernels are compared and measured at.
    public enum Sizes {
        /// Those of Nemotron 3 Nano.
        REAL(ModelSizes.NANO, Effort.FULL, 4L << 30, 8192),
        /// As small as they come, for a try without a device.
        SMALL(ModelSizes.SMALL, new Effort(1, 0, 0), 1 << 20, 128);

        private final ModelSizes model;
        private final Effort effort;
        private final long copyBytes;
        private final int side;

        Sizes(ModelSizes model, Effort effort, long copyBytes, int side) {
            this.model = model;
            this.effort = effort;
            this.copyBytes = copyBytes;
            this.side = side;
        }

        ModelSizes model() {
            return model;
        }

        /// @param partLimit of each part of the whole steps
        private WholeSteps.Settings steps(Duration partLimit) {
            return switch (this) {
                case REAL -> WholeSteps.Settings.nano(partLimit);
                case SMALL -> new WholeSteps.Settings(SMALL_MODEL, KvFormat.E4M3, List.of(1, 3), 130,
                        List.of(new WholeSteps.Settings.Mixed(2, 100)), List.of(300), 400, 256, 1, partLimit);
            };
        }
    }

    private static final String SMALL_MODEL = "synthetic:tiny-fp8,layers=MM*EE,hidden=32,vocab=64,mamba-heads=2,mamba-head-dim=16,"
            + "groups=1,state=64,query-heads=2,kv-heads=1,head-dim=64,dense=32,experts=4,active=2,intermediate=32,shared=32";
    /// Parts of the whole steps that share the time which is left: batches, prompts, the long sequence, and what comes after.
    private static final int STEP_PARTS = 4;
    private static final Duration LONGEST = Duration.ofHours(2);
    private static final long CLOCKS_NANOS = 20_000_000_000L;

    private final Target target;
    private final Settings settings;
    private final List<KernelCheck> checks;
    private final PrintStream progress;
    private final PrintStream output;
    private final Deadline deadline;
    private final List<String> failures = new ArrayList<>();
    private final List<String> notReached = new ArrayList<>();

    /// @param progress a line for each thing that begins
    /// @param output   the tables at the end
    public GpuBench(Target target, Settings settings, PrintStream progress, PrintStream output) {
        this(target, settings, KernelChecks.all(settings.replays()), progress, output);
    }

    GpuBench(Target target, Settings settings, List<KernelCheck> checks, PrintStream progress, PrintStream output) {
        this.target = target;
        this.settings = settings;
        this.checks = checks;
        this.progress = progress;
        this.output = output;
        this.deadline = new Deadline(settings.limit(), System::nanoTime);
    }

    /// Does it all. What was measured is in the files as soon as it is known.
    ///
    /// @return 0, or 1 when a comparison or a measurement failed
    /// @throws dev.sidewinder.cuda.device.CudaUnavailableException saying why there is no device to use
    public int run() throws IOException {
        try (Session session = target.open()) {
            DeviceState state = new DeviceState(target.ordinal());
            GpuRun run = describe(session.device().info(), state);
            Path folder = settings.results().resolve(run.folder());
            progress.println(session.device().info() + "; driver " + run.driver() + "; commit " + run.commit() + "; seed "
                    + run.seed() + "; results in " + folder);
            CheckRun checkRun = new CheckRun(run, folder.resolve("gpu-checks.csv"), progress);
            if (settings.wants(Part.CHECKS)) {
                checkRun.run(wantedChecks(), session, deadline);
            }
            try (GpuReport report = new GpuReport(run, folder.resolve("gpu.csv"), clocks(state), progress)) {
                measure(session, run, folder, report);
                finish(run, checkRun, report);
            }
            return failures.isEmpty() && checkRun.failed() == 0 ? 0 : 1;
        }
    }

    private GpuRun describe(DeviceInfo info, DeviceState state) {
        String version = state.driver();
        String cuda = "CUDA " + info.driverVersion() / 1000 + "." + info.driverVersion() % 1000 / 10;
        return new GpuRun(info.name(), version.isEmpty() ? cuda : version + " (" + cuda + ")", settings.commit(), settings.seed());
    }

    /// Asked for now and then only: it takes a process.
    private static Supplier<String> clocks(DeviceState state) {
        return new Supplier<>() {
            private long asked;
            private String answer;

            @Override
            public String get() {
                if (answer == null || System.nanoTime() - asked > CLOCKS_NANOS) {
                    answer = state.clocks();
                    asked = System.nanoTime();
                }
                return answer;
            }
        };
    }

    /// Small sizes of all families first, so that a short time reaches each of them.
    private List<KernelCheck> wantedChecks() {
        return checks.stream()
                .filter(check -> settings.wants(check.family()))
                .filter(check -> settings.sizes() == Sizes.REAL || check.extent() != Extent.REAL)
                .sorted(Comparator.comparing(KernelCheck::extent))
                .toList();
    }

    private void measure(Session session, GpuRun run, Path folder, GpuReport report) throws IOException {
        if (settings.parts().equals(Set.of(Part.CHECKS))) {
            return;
        }
        if (deadline.isPassed()) {
            notReached.add("all measurements");
            return;
        }
        Effort effort = settings.sizes().effort.withRepeats(settings.repeats());
        KernelRun kernels = new KernelRun(session, settings.seed(), effort, progress, report);
        Ceilings ceilings = kernels.limits(target.blas(), settings.sizes().copyBytes, settings.sizes().side);
        progress.println(Limits.describe(ceilings));
        if (settings.wants(Part.KERNELS)) {
            measureKernels(kernels, ceilings, run, folder);
        }
        if (settings.wants(Part.STEPS)) {
            measureSteps(session, ceilings, report);
        }
        if (settings.wants(Part.RECALL)) {
            recall(session, report);
        }
        if (settings.wants(Part.PYTORCH)) {
            compareWithPyTorch(ceilings, report);
        }
    }

    private void measureKernels(KernelRun kernels, Ceilings ceilings, GpuRun run, Path folder) {
        ModelSizes sizes = settings.sizes().model();
        kernels.operators(operators(), ceilings, deadline);
        if (settings.wants(LinearOperators.FAMILY)) {
            kernels.blas(LinearOperators.inBf16(sizes), target.blas(), ceilings, deadline,
                    new BlasRecord(run, folder.resolve("blas-choices.csv"), sizes.tokens()));
        }
        failures.addAll(kernels.failures());
        notReached.addAll(kernels.notReached());
    }

    /// A model takes all memory of the device, so what was open before gives it back first.
    private void measureSteps(Session session, Ceilings ceilings, GpuReport report) {
        runModel("whole steps", session, limit -> notReached.addAll(
                new WholeSteps(target::forModel, ceilings, report, progress).run(settings.sizes().steps(limit.dividedBy(STEP_PARTS)))));
    }

    private void recall(Session session, GpuReport report) {
        runModel("recall", session, limit -> {
            LongRecall.Result result = new LongRecall(target::forModel, report, progress)
                    .run(LongRecall.Settings.tiny(settings.recall().orElseThrow(), limit));
            result.notReached().forEach(tokens -> notReached.add("recall over " + tokens + " tokens"));
        });
    }

    private void runModel(String what, Session session, Consumer<Duration> work) {
        if (deadline.isPassed()) {
            notReached.add(what);
            return;
        }
        session.giveBack();
        try {
            work.accept(deadline.left().compareTo(LONGEST) < 0 ? deadline.left() : LONGEST);
        } catch (RuntimeException e) {
            failures.add(what + ": " + e.getClass().getSimpleName() + ": " + e.getMessage());
            progress.println("    FAILED " + failures.getLast());
        }
    }

    private List<Operator> operators() {
        ModelSizes sizes = settings.sizes().model();
        List<Operator> all = new ArrayList<>();
        all.addAll(LinearOperators.all(sizes));
        all.addAll(MambaOperators.all(sizes));
        all.addAll(ExpertOperators.all(sizes));
        all.addAll(AttentionOperators.all(sizes));
        all.addAll(RowOperators.all(sizes));
        return all.stream().filter(operator -> settings.wants(operator.family())).toList();
    }

    private void compareWithPyTorch(Ceilings ceilings, GpuReport report) throws IOException {
        PyTorch torch = new PyTorch(settings.python(), settings.repeats(), progress);
        if (deadline.isPassed()) {
            notReached.add("the comparison with PyTorch");
        } else if (!torch.isUsable()) {
            progress.println("PyTorch is left out: `" + settings.python() + " -c \"import torch\"` fails here, or it sees no device");
        } else {
            notReached.addAll(torch.measure(PyTorch.requests(settings.sizes().model()), ceilings, deadline, report));
        }
    }

    private void finish(GpuRun run, CheckRun checkRun, GpuReport report) {
        output.println();
        output.println(run.device() + ", driver " + run.driver() + ", commit " + run.commit() + ", seed " + run.seed());
        if (settings.wants(Part.CHECKS)) {
            checkRun.print(output);
        }
        report.print(output);
        failures.forEach(failure -> output.println("FAILED " + failure));
        if (!notReached.isEmpty() || checkRun.notReached() > 0) {
            output.println("not reached within " + settings.limit().toSeconds() + " s: " + checkRun.notReached()
                    + " comparisons, " + notReached.size() + " measurements"
                    + (notReached.isEmpty() ? "" : " from \"" + notReached.getFirst() + "\" on"));
        }
        output.println(checkRun.failed() + failures.size() == 0 ? "nothing failed"
                : checkRun.failed() + " comparisons and " + failures.size() + " measurements FAILED");
        output.println("written: " + report.file() + (settings.wants(Part.CHECKS) ? " and gpu-checks.csv beside it" : ""));
    }
}
