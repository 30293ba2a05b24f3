package dev.sidewinder.engine.cpu;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;
import java.lang.invoke.MethodHandle;
import java.util.ArrayDeque;
import java.util.Deque;

/// Makes oneDNN objects and owns them: all are destroyed with the engine. Safe for use by many threads.
final class DnnlEngine implements AutoCloseable {

    private final DnnlLibrary library;
    private final MemorySegment engine;
    private final MemorySegment attributes;
    private final Deque<Owned> owned = new ArrayDeque<>();

    /// A native object and the call that destroys it.
    private record Owned(MethodHandle destroy, MemorySegment object) {}

    DnnlEngine(DnnlLibrary library) {
        this.library = library;
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ADDRESS);
            DnnlLibrary.check("dnnl_engine_create",
                    (int) library.engineCreate.invokeExact(out, DnnlLibrary.CPU, 0L));
            engine = own(library.engineDestroy, out);
            DnnlLibrary.check("dnnl_primitive_attr_create", (int) library.attributesCreate.invokeExact(out));
            attributes = own(library.attributesDestroy, out);
            // Scratch memory of our own for every worker: primitives can then run on many threads at once.
            DnnlLibrary.check("dnnl_primitive_attr_set_scratchpad_mode",
                    (int) library.attributesSetScratchpad.invokeExact(attributes, DnnlLibrary.SCRATCHPAD_USER));
        } catch (Throwable e) {
            throw DnnlLibrary.failed("oneDNN engine", e);
        }
    }

    DnnlLibrary library() {
        return library;
    }

    /// `target[rows, outputs] = source[rows, inputs] x weights[inputs, outputs]`, bf16 x bf16 to fp32.
    ///
    /// @param weights their description, or NULL to let oneDNN choose
    DnnlProduct.Primitive matmul(int rows, int inputs, int outputs, MemorySegment weights) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment source = plain(arena, DnnlLibrary.TYPE_BF16, rows, inputs, inputs, 1);
            MemorySegment target = plain(arena, DnnlLibrary.TYPE_F32, rows, outputs, outputs, 1);
            MemorySegment wanted = weights.equals(MemorySegment.NULL) ? anyFormat(arena, inputs, outputs) : weights;
            MemorySegment out = arena.allocate(ADDRESS);
            DnnlLibrary.check("dnnl_matmul_primitive_desc_create", (int) library.matmulCreate.invokeExact(out, engine,
                    source, wanted, MemorySegment.NULL, target, attributes));
            MemorySegment plan = own(library.planDestroy, out);
            return primitive(arena, plan, source, target);
        } catch (Throwable e) {
            throw DnnlLibrary.failed("oneDNN product of " + inputs + " x " + outputs, e);
        }
    }

    /// Row-major `[outputs, inputs]` bf16 to packed weights.
    DnnlProduct.Primitive packing(int inputs, int outputs, MemorySegment packed) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment source = plain(arena, DnnlLibrary.TYPE_BF16, inputs, outputs, 1, inputs);
            MemorySegment out = arena.allocate(ADDRESS);
            DnnlLibrary.check("dnnl_reorder_primitive_desc_create", (int) library.reorderCreate.invokeExact(out, source,
                    engine, packed, engine, attributes));
            return primitive(arena, own(library.planDestroy, out), source, packed);
        } catch (Throwable e) {
            throw DnnlLibrary.failed("oneDNN packing of " + inputs + " x " + outputs, e);
        }
    }

    private DnnlProduct.Primitive primitive(Arena arena, MemorySegment plan, MemorySegment source, MemorySegment target)
            throws Throwable {
        MemorySegment out = arena.allocate(ADDRESS);
        DnnlLibrary.check("dnnl_primitive_create", (int) library.primitiveCreate.invokeExact(out, plan));
        MemorySegment primitive = own(library.primitiveDestroy, out);
        DnnlLibrary.check("dnnl_primitive_desc_query", (int) library.query.invokeExact(plan,
                DnnlLibrary.QUERY_IMPLEMENTATION, 0, out));
        String implementation = out.get(ADDRESS, 0).reinterpret(Long.MAX_VALUE).getString(0);
        // The plan lives as long as the primitive: its descriptions are referred to, not copied.
        MemorySegment weights =
                (MemorySegment) library.queryDescription.invokeExact(plan, DnnlLibrary.QUERY_WEIGHTS, 0);
        MemorySegment scratchpad =
                (MemorySegment) library.queryDescription.invokeExact(plan, DnnlLibrary.QUERY_SCRATCHPAD, 0);
        return new DnnlProduct.Primitive(primitive, source, weights, target, scratchpad, bytes(scratchpad),
                implementation);
    }

    private MemorySegment plain(Arena arena, int type, long rows, long columns, long rowStride, long columnStride)
            throws Throwable {
        MemorySegment out = arena.allocate(ADDRESS);
        DnnlLibrary.check("dnnl_memory_desc_create_with_strides", (int) library.descriptionWithStrides.invokeExact(out,
                2, arena.allocateFrom(JAVA_LONG, rows, columns), type,
                arena.allocateFrom(JAVA_LONG, rowStride, columnStride)));
        return own(library.descriptionDestroy, out);
    }

    private MemorySegment anyFormat(Arena arena, long rows, long columns) throws Throwable {
        MemorySegment out = arena.allocate(ADDRESS);
        DnnlLibrary.check("dnnl_memory_desc_create_with_tag", (int) library.descriptionWithTag.invokeExact(out, 2,
                arena.allocateFrom(JAVA_LONG, rows, columns), DnnlLibrary.TYPE_BF16, DnnlLibrary.TAG_ANY));
        return own(library.descriptionDestroy, out);
    }

    long bytes(MemorySegment description) {
        try {
            return description.equals(MemorySegment.NULL)
                    ? 0
                    : (long) library.descriptionBytes.invokeExact(description);
        } catch (Throwable e) {
            throw DnnlLibrary.failed("dnnl_memory_desc_get_size", e);
        }
    }

    /// A memory object of this description, its data to be set later.
    MemorySegment memory(MemorySegment description) {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ADDRESS);
            DnnlLibrary.check("dnnl_memory_create",
                    (int) library.memoryCreate.invokeExact(out, description, engine, MemorySegment.NULL));
            return own(library.memoryDestroy, out);
        } catch (Throwable e) {
            throw DnnlLibrary.failed("dnnl_memory_create", e);
        }
    }

    MemorySegment stream() {
        try (Arena arena = Arena.ofConfined()) {
            MemorySegment out = arena.allocate(ADDRESS);
            DnnlLibrary.check("dnnl_stream_create",
                    (int) library.streamCreate.invokeExact(out, engine, DnnlLibrary.STREAM_IN_ORDER));
            return own(library.streamDestroy, out);
        } catch (Throwable e) {
            throw DnnlLibrary.failed("dnnl_stream_create", e);
        }
    }

    private MemorySegment own(MethodHandle destroy, MemorySegment out) {
        MemorySegment object = out.get(ADDRESS, 0);
        synchronized (owned) {
            owned.push(new Owned(destroy, object));
        }
        return object;
    }

    /// Destroys everything, last made first. Nothing may be running.
    @Override
    public void close() {
        synchronized (owned) {
            while (!owned.isEmpty()) {
                Owned next = owned.pop();
                try {
                    DnnlLibrary.check("destroying an object", (int) next.destroy().invokeExact(next.object()));
                } catch (Throwable e) {
                    throw DnnlLibrary.failed("oneDNN destroy", e);
                }
            }
        }
    }
}
