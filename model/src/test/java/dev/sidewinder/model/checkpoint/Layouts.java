package dev.sidewinder.model.checkpoint;

import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;

/// Tensors that exist as a list only, for tests with the shapes of models far larger than the machine.
public final class Layouts {

    private Layouts() {}

    /// Tensors whose data may not be touched (it lies at an address where nothing is), scalar scales excepted: those
    /// are 1.
    public static TensorSet untouchable(List<StoredTensor> layout) {
        var views = new ArrayList<TensorView>(layout.size());
        for (StoredTensor tensor : layout) {
            views.add(new TensorView(tensor.name(), tensor.type(), tensor.shape(), data(tensor.shape(), tensor.bytes())));
        }
        return set(views);
    }

    static TensorSet set(List<TensorView> views) {
        return new TensorSet() {
            @Override
            public Collection<TensorView> tensors() {
                return views;
            }

            @Override
            public String origin(String tensor) {
                return "m.safetensors";
            }

            @Override
            public void close() {
                // nothing is owned
            }
        };
    }

    static MemorySegment data(List<Long> shape, long bytes) {
        if (shape.isEmpty()) {
            MemorySegment one = MemorySegment.ofArray(new byte[Float.BYTES]);
            one.set(ValueLayout.JAVA_FLOAT_UNALIGNED.withOrder(ByteOrder.LITTLE_ENDIAN), 0, 1f);
            return one;
        }
        return MemorySegment.ofAddress(0).reinterpret(bytes);
    }
}
