package dev.sidewinder.model.synthetic;

import dev.sidewinder.model.checkpoint.StoredTensor;
import dev.sidewinder.model.checkpoint.StoredTensor.Part;
import dev.sidewinder.model.checkpoint.TensorContent;
import java.lang.foreign.MemorySegment;
import java.util.function.Function;

/// The bytes of a synthetic tensor: a rule, until somebody asks for the memory.
///
/// Element `i` of the parameter is the value that the table has for 16 random bits, `i % 4` of the 64 that follow from
/// [#key] and `i / 4`: see [RandomTensors], and the kernels that do the same on a device. Safe for use by many threads.
public final class RandomTensor implements TensorContent.Made {

    private final StoredTensor tensor;
    private final RandomTensors numbers;
    private final Function<RandomTensor, MemorySegment> maker;
    private volatile MemorySegment made;

    /// @param maker makes all bytes in memory that lives as long as the model
    RandomTensor(StoredTensor tensor, RandomTensors numbers, Function<RandomTensor, MemorySegment> maker) {
        this.tensor = tensor;
        this.numbers = numbers;
        this.maker = maker;
    }

    /// What the bytes are of the parameter.
    public Part part() {
        return tensor.part();
    }

    /// Elements of the parameter that this stores, or stores a part of.
    public long elements() {
        return tensor.parameter().elements();
    }

    /// Of the stream of random numbers.
    public long key() {
        return numbers.key(tensor.parameter());
    }

    /// The same object for all tensors of a model with the same distribution.
    public ValueTable table() {
        return numbers.table(tensor.parameter());
    }

    /// Whether its bytes are in the memory of the host.
    public boolean isMade() {
        return made != null;
    }

    @Override
    public long bytes() {
        return tensor.bytes();
    }

    @Override
    public void write(long from, MemorySegment into) {
        numbers.fill(tensor, from, into);
    }

    @Override
    public MemorySegment data() {
        MemorySegment data = made;
        if (data == null) {
            synchronized (this) {
                data = made;
                if (data == null) {
                    data = maker.apply(this);
                    made = data;
                }
            }
        }
        return data;
    }

    @Override
    public String toString() {
        return tensor.name() + ", random";
    }
}
