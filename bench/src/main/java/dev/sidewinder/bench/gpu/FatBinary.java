package dev.sidewinder.bench.gpu;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.List;

/// Kernels compiled for several devices in one image, as nvcc writes it: a header, then images, each with a header of its own.
///
/// | at | of the file              | of an image                           |
/// |----|--------------------------|---------------------------------------|
/// | 0  | uint32 magic             | uint16 kind: 1 portable, 2 machine code |
/// | 4  | uint16 version           | uint32 bytes of the header            |
/// | 6  | uint16 bytes of the header |                                     |
/// | 8  | uint64 bytes of the images | uint64 bytes of the content         |
/// | 28 |                          | uint32 architecture, for example 90   |
///
/// NVIDIA does not describe the form; this is what nvcc 13.0 writes, and a file that is not so is refused.
final class FatBinary {

    private static final int MAGIC = 0xBA55ED50;
    private static final int HEADER_BYTES = 16;
    private static final int MACHINE_CODE = 2;
    private static final int ARCHITECTURE_AT = 28;

    private FatBinary() {}

    /// An image with the machine code for one architecture alone.
    ///
    /// @param architecture as nvcc names it, for example `90a`
    /// @throws IllegalArgumentException when there is none in it, or the file is of another form
    static byte[] only(String family, byte[] file, String architecture) {
        int number = number(architecture);
        ByteBuffer all = ByteBuffer.wrap(file).order(ByteOrder.LITTLE_ENDIAN);
        if (file.length < HEADER_BYTES || all.getInt(0) != MAGIC || all.getShort(6) != HEADER_BYTES
                || all.getLong(8) != file.length - HEADER_BYTES) {
            throw new IllegalArgumentException(family + " is no fat binary of the form that is known");
        }
        List<ByteBuffer> kept = new ArrayList<>();
        int keptBytes = 0;
        for (int at = HEADER_BYTES; at < file.length; ) {
            if (at + ARCHITECTURE_AT + Integer.BYTES > file.length) {
                throw new IllegalArgumentException(family + ": an image begins at " + at + " of " + file.length + " bytes");
            }
            long bytes = Integer.toUnsignedLong(all.getInt(at + 4)) + all.getLong(at + 8);
            if (bytes < ARCHITECTURE_AT + Integer.BYTES || bytes > file.length - at) {
                throw new IllegalArgumentException(family + ": an image at " + at + " has " + bytes + " bytes of " + file.length);
            }
            if (all.getShort(at) == MACHINE_CODE && all.getInt(at + ARCHITECTURE_AT) == number) {
                kept.add(all.slice(at, (int) bytes));
                keptBytes += (int) bytes;
            }
            at += (int) bytes;
        }
        if (kept.isEmpty()) {
            throw new IllegalArgumentException(family + " has no machine code for " + architecture);
        }
        ByteBuffer result = ByteBuffer.allocate(HEADER_BYTES + keptBytes).order(ByteOrder.LITTLE_ENDIAN);
        result.put(file, 0, HEADER_BYTES).putLong(8, keptBytes);
        kept.forEach(result::put);
        return result.array();
    }

    private static int number(String architecture) {
        if (!architecture.matches("\\d{2,3}[af]?")) {
            throw new IllegalArgumentException("the architecture \"" + architecture + "\"; nvcc names them 80, 89, 90a and so on");
        }
        return Integer.parseInt(architecture.replaceAll("[af]$", ""));
    }
}
