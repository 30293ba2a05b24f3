package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import java.lang.foreign.MemoryLayout;
import java.lang.foreign.MemorySegment;
import java.util.IdentityHashMap;
import java.util.Map;

/// What one worker of the pool needs to run primitives: a stream, scratch memory, and for each primitive its argument
/// array, made once. One thread at a time; a call then costs three set-fields and one execute.
final class DnnlWorker {

    private static final MemoryLayout ARGUMENT =
            MemoryLayout.structLayout(JAVA_INT, MemoryLayout.paddingLayout(4), ADDRESS);

    private final DnnlEngine engine;
    private final DnnlLibrary library;
    private final NativeMemory memory;
    private final long stream;
    private final Map<DnnlProduct.Primitive, Call> calls = new IdentityHashMap<>();
    private MemorySegment scratchpad = MemorySegment.NULL;
    private Thread thread;

    /// A primitive with its arguments: memory objects by address, and the array that names them.
    private record Call(long primitive, long source, long weights, long target, int count, MemorySegment arguments,
            long scratchpad) {}

    DnnlWorker(DnnlEngine engine, NativeMemory memory) {
        this.engine = engine;
        this.library = engine.library();
        this.memory = memory;
        stream = engine.stream().address();
    }

    /// Runs one primitive.
    ///
    /// @param weights address of the packed weights; 0 for a packing
    void run(DnnlProduct.Primitive primitive, long source, long weights, long target) {
        if (Thread.currentThread() != thread) {
            thread = Thread.currentThread();
            library.useOnlyThisThread();
        }
        Call call = calls.get(primitive);
        if (call == null) {
            call = prepare(primitive);
            calls.put(primitive, call);
        }
        try {
            int status = (int) library.memorySetHandle.invokeExact(call.source(), source)
                    | (int) library.memorySetHandle.invokeExact(call.target(), target);
            if (weights != 0) {
                status |= (int) library.memorySetHandle.invokeExact(call.weights(), weights);
            }
            if (call.scratchpad() != 0) {
                status |= (int) library.memorySetHandle.invokeExact(call.scratchpad(), scratchpad.address());
            }
            DnnlLibrary.check("dnnl_memory_set_data_handle", status);
            DnnlLibrary.check("dnnl_primitive_execute", (int) library.primitiveExecute.invokeExact(call.primitive(),
                    stream, call.count(), call.arguments().address()));
        } catch (Throwable e) {
            throw DnnlLibrary.failed("dnnl_primitive_execute", e);
        }
    }

    private Call prepare(DnnlProduct.Primitive primitive) {
        MemorySegment arguments = memory.allocate(4 * ARGUMENT.byteSize());
        int count = 0;
        long source = argument(arguments, count++, DnnlLibrary.ARGUMENT_SOURCE, primitive.source());
        long target = argument(arguments, count++, DnnlLibrary.ARGUMENT_TARGET, primitive.target());
        long weights = 0;
        if (!primitive.weights().equals(MemorySegment.NULL)) {
            weights = argument(arguments, count++, DnnlLibrary.ARGUMENT_WEIGHTS, primitive.weights());
        }
        long scratch = 0;
        if (primitive.scratchpadBytes() > 0) {
            scratch = argument(arguments, count++, DnnlLibrary.ARGUMENT_SCRATCHPAD, primitive.scratchpad());
            if (scratchpad.byteSize() < primitive.scratchpadBytes()) {
                scratchpad = memory.allocate(primitive.scratchpadBytes());
            }
        }
        return new Call(primitive.primitive().address(), source, weights, target, count, arguments, scratch);
    }

    private long argument(MemorySegment arguments, int index, int role, MemorySegment description) {
        MemorySegment object = engine.memory(description);
        arguments.set(JAVA_INT, index * ARGUMENT.byteSize(), role);
        arguments.set(ADDRESS, index * ARGUMENT.byteSize() + ADDRESS.byteSize(), object);
        return object.address();
    }
}
