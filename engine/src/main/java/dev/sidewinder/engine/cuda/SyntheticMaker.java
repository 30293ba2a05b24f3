package dev.sidewinder.engine.cuda;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import dev.sidewinder.cuda.kernel.Kernels;
import dev.sidewinder.cuda.kernel.SyntheticWeights;
import dev.sidewinder.cuda.kernel.SyntheticWeights.Form;
import dev.sidewinder.model.synthetic.ValueTable;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.util.HashMap;
import java.util.Map;

/// Makes the weights of a synthetic model on the device: the host has a table for each distribution, and no weights.
///
/// Takes kernels and memory when the first one is asked for: a few tables of up to 128 KiB, until it is closed.
final class SyntheticMaker implements AutoCloseable {

    private enum Values { BF16, E4M3 }

    /// Tables are the same where they are the same object.
    private record Key(ValueTable table, Values values) {}

    private final Kernels kernels;
    private final Device device;
    private final Map<Key, DeviceBuffer> tables = new HashMap<>();
    private SyntheticWeights weights;

    SyntheticMaker(Kernels kernels) {
        this.kernels = kernels;
        this.device = kernels.device();
    }

    /// Makes a whole tensor at an address; asynchronous.
    void make(long address, WeightSource.Drawn source) {
        if (weights == null) {
            weights = new SyntheticWeights(kernels);
        }
        ValueTable table = source.tensor().table();
        Values values = source.form() == Form.E4M3 ? Values.E4M3 : Values.BF16;
        DeviceBuffer buffer = tables.computeIfAbsent(new Key(table, values), this::upload);
        weights.make(device.stream(), source.form(), address,
                new SyntheticWeights.Numbers(buffer.address(), source.tensor().key(), table.nvfp4Scale()),
                source.tensor().elements());
    }

    private DeviceBuffer upload(Key key) {
        MemorySegment values = switch (key.values()) {
            case BF16 -> MemorySegment.ofArray(key.table().bf16());
            case E4M3 -> MemorySegment.ofArray(key.table().fp8());
        };
        DeviceBuffer buffer = device.allocate(values.byteSize());
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment copy = arena.allocate(values.byteSize(), Long.BYTES).copyFrom(values);
            device.stream().copyToDevice(buffer.address(), copy, copy.byteSize());
            // the copy may still be read until the stream has passed
            device.stream().synchronize();
        }
        return buffer;
    }

    /// Gives the tables back; what was asked for has been made.
    @Override
    public void close() {
        tables.values().forEach(DeviceBuffer::close);
        tables.clear();
    }
}
