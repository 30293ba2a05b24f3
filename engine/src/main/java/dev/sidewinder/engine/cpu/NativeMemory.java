package dev.sidewinder.engine.cpu;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.MemorySegment;
import java.lang.foreign.ValueLayout;
import java.lang.invoke.MethodHandle;
import java.util.Optional;

/// Memory off the heap that is zero and costs nothing until it is touched: caches can be planned large.
///
/// `Arena.allocate` writes zeros over all it hands out, which would commit a whole KV cache at start. On Linux memory is
/// cut from large anonymous mappings instead; elsewhere the arena serves. Everything goes back when the owner closes this;
/// nothing may use a segment after that. Safe for use by many threads.
///
/// Huge pages are not asked for: on a virtual machine that hands free memory back to its host, first touching 1.2 GB took
/// 3.2 s of processor time with them and 0.5 s without, and reading weights gained less than a tenth.
final class NativeMemory implements AutoCloseable {

    private static final long CHUNK_BYTES = 64L << 20;
    /// A cache line.
    private static final long ALIGNMENT_BYTES = 64;
    private static final int PROT_READ_WRITE = 3;
    private static final int MAP_PRIVATE_ANONYMOUS = 0x22;

    private static final Optional<Calls> CALLS = Calls.find();

    private final Arena arena = Arena.ofShared();
    private MemorySegment chunk = MemorySegment.NULL;
    private long chunkUsed;

    /// Zeroed memory, aligned to a cache line, valid until [#close()].
    synchronized MemorySegment allocate(long bytes) {
        if (CALLS.isEmpty()) {
            return arena.allocate(bytes, ALIGNMENT_BYTES);
        }
        if (bytes >= CHUNK_BYTES) {
            return CALLS.get().map(bytes, arena);
        }
        if (chunk.byteSize() - chunkUsed < bytes) {
            chunk = CALLS.get().map(CHUNK_BYTES, arena);
            chunkUsed = 0;
        }
        MemorySegment result = chunk.asSlice(chunkUsed, bytes);
        chunkUsed += (bytes + ALIGNMENT_BYTES - 1) / ALIGNMENT_BYTES * ALIGNMENT_BYTES;
        return result;
    }

    @Override
    public void close() {
        arena.close();
    }

    private record Calls(MethodHandle mmap, MethodHandle munmap) {

        static Optional<Calls> find() {
            if (!"Linux".equals(System.getProperty("os.name"))) {
                return Optional.empty();
            }
            Linker linker = Linker.nativeLinker();
            var address = ValueLayout.ADDRESS;
            var size = ValueLayout.JAVA_LONG;
            var number = ValueLayout.JAVA_INT;
            return Optional.of(new Calls(
                    linker.downcallHandle(linker.defaultLookup().findOrThrow("mmap"),
                            FunctionDescriptor.of(address, address, size, number, number, number, size)),
                    linker.downcallHandle(linker.defaultLookup().findOrThrow("munmap"),
                            FunctionDescriptor.of(number, address, size))));
        }

        MemorySegment map(long bytes, Arena owner) {
            try {
                var start = (MemorySegment) mmap.invokeExact(MemorySegment.NULL, bytes, PROT_READ_WRITE,
                        MAP_PRIVATE_ANONYMOUS, -1, 0L);
                if (start.address() == -1L) {
                    throw new OutOfMemoryError("the system refused " + bytes + " bytes of memory for weights or caches");
                }
                return start.reinterpret(bytes, owner, segment -> unmap(segment, bytes));
            } catch (RuntimeException | Error e) {
                throw e;
            } catch (Throwable e) {
                throw new IllegalStateException("mmap", e);
            }
        }

        private void unmap(MemorySegment segment, long bytes) {
            try {
                int ignored = (int) munmap.invokeExact(segment, bytes);
            } catch (Throwable e) {
                throw new IllegalStateException("munmap", e);
            }
        }
    }
}
