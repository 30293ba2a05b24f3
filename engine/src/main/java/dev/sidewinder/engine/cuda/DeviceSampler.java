package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.cuda.kernel.Kernels;
import dev.sidewinder.cuda.kernel.Sample;
import dev.sidewinder.cuda.kernel.SampleResults;
import dev.sidewinder.cuda.kernel.SampleRows;
import dev.sidewinder.engine.DeviceSamples;
import dev.sidewinder.engine.RowSampler;

/// Chooses from the rows of a step on the device. What the rows ask for goes there through pinned memory, what came of them
/// comes back the same way, and the tokens stay where the next step takes them from.
///
/// One step at a time: the next one's rows are described when this one's results have been read, so there is one of every
/// buffer.
final class DeviceSampler implements AutoCloseable {

    /// Beside those of penalties and allowed tokens: biases, bans and stop tokens of many rows.
    private static final int MORE_LIST_ENTRIES = 4096;
    private static final long LIST_ENTRY_BYTES = 2L * Integer.BYTES;
    private static final int NO_MATTER = 0;

    /// @param rows       of logits in a step at most
    /// @param masks      of them may have a mask
    /// @param plainRows  rows without padding that are sampled at once, at most
    record Size(int rows, int masks, int plainRows, int vocabSize) {

        /// Room for the longest penalties of one row, and the longest list of allowed tokens of another.
        private long listBytes() {
            return (2L * vocabSize + MORE_LIST_ENTRIES) * LIST_ENTRY_BYTES;
        }

        private long maskBytes() {
            return masks * SampleRows.maskBytes(vocabSize);
        }
    }

    private final Size size;
    private final Stream stream;
    private final Sample sample;
    private final Addresses device;
    private final PinnedMemory rows;
    private final PinnedMemory lists;
    private final PinnedMemory masks;
    private final PinnedMemory resultMemory;
    private final SampleRows description;
    private final SampleResults results;
    private int described;

    /// Where everything is on the device.
    ///
    /// @param plainSlots zeros: no row is padded
    private record Addresses(long rows, long lists, long saved, long masks, long results, long tokens, long plainSlots) {

        static Addresses in(Workspace workspace, Size size) {
            return new Addresses(
                    workspace.kept("sampling rows", size.rows() * (long) SampleRows.ROW_BYTES),
                    workspace.kept("sampling lists", size.listBytes()),
                    workspace.kept("sampling saved logits", size.listBytes()),
                    workspace.kept("sampling masks", size.maskBytes()),
                    workspace.kept("sampling results", size.rows() * (long) SampleResults.ROW_BYTES),
                    workspace.kept("sampled tokens", size.rows() * (long) Integer.BYTES),
                    workspace.kept("slots of rows without padding", size.plainRows() * (long) Integer.BYTES));
        }
    }

    /// The part that lies on the device, and the kernel.
    record Plan(Size size, Sample sample, Addresses addresses) {

        static Plan of(Kernels kernels, Workspace workspace, Size size) {
            return new Plan(size, new Sample(kernels, size.vocabSize()), Addresses.in(workspace, size));
        }
    }

    DeviceSampler(Device device, Plan plan) {
        this.size = plan.size();
        this.stream = device.stream();
        this.sample = plan.sample();
        this.device = plan.addresses();
        rows = device.pinned(size.rows() * (long) SampleRows.ROW_BYTES);
        lists = device.pinned(size.listBytes());
        masks = device.pinned(size.maskBytes());
        resultMemory = device.pinned(size.rows() * (long) SampleResults.ROW_BYTES);
        description = new SampleRows(rows.segment(), lists.segment(), masks.segment(), this.device.masks(), size.vocabSize());
        results = new SampleResults(resultMemory.segment());
    }

    /// Begins a step.
    void begin() {
        description.clear();
        described = 0;
    }

    /// Describes the next row.
    ///
    /// @return false when the host has to choose: the device then only looks whether the row is finite
    boolean add(RowSampler wanted, int row) {
        boolean onDevice = wanted.describe(row, description, described);
        if (!onDevice) {
            addNothing();
        } else {
            described++;
        }
        return onDevice;
    }

    /// Adds a row of which nothing is wanted.
    void addNothing() {
        description.begin(described++).take(NO_MATTER);
    }

    /// Brings the descriptions to the device.
    void upload() {
        copy(device.rows(), rows, description.rowBytes());
        copy(device.lists(), lists, description.listBytes());
        copy(device.masks(), masks, description.maskBytes());
    }

    private void copy(long target, PinnedMemory source, long bytes) {
        if (bytes > 0) {
            stream.copyToDevice(target, source.segment(), bytes);
        }
    }

    /// Chooses from some of the rows.
    ///
    /// @param logits fp32 `[rows, vocabulary]`
    /// @param slots  int32 `[rows]`, -1 for a padded one; 0 = none is
    /// @param first  row of the description
    void choose(long logits, long slots, int first, int count) {
        sample.choose(stream, new Sample.Tensors(device.results() + first * (long) SampleResults.ROW_BYTES,
                device.tokens() + first * (long) Integer.BYTES, logits, size.vocabSize(),
                device.rows() + first * (long) SampleRows.ROW_BYTES, device.lists(), device.saved(),
                slots == 0 ? device.plainSlots() : slots), count);
    }

    /// Sends the results to the host.
    void collect() {
        if (described > 0) {
            stream.copyToHost(resultMemory.segment(), device.results(), described * (long) SampleResults.ROW_BYTES);
        }
    }

    /// What came of a row, when the stream has passed; null for a padded one.
    dev.sidewinder.engine.Sample read(int at) {
        return DeviceSamples.read(results, at);
    }

    /// Has the step's tokens written over the input ids of the next one.
    ///
    /// @param tables whose rows name their sources
    void handOver(StepTables tables, int count) {
        sample.handOver(stream, new Sample.NextStep(tables.tokens(), tables.slots(), device.tokens(), tables.sources()), count);
    }

    @Override
    public void close() {
        rows.close();
        lists.close();
        masks.close();
        resultMemory.close();
    }
}
