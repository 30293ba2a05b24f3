package dev.sidewinder.cuda.device;

import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;

import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// The tensor maps among a kernel's arguments: encoded for each launch (some hundred nanoseconds on the host, the device is
/// not asked), into memory that is laid out when an argument is first set.
final class TensorMaps {

    private static final int MAP_BYTES = 128;
    private static final int MAP_ALIGNMENT = 64;
    private static final int MOST_ARGUMENTS = 64;
    private static final int DIMENSIONS = 3;

    private final Device device;
    private final Arena arena;
    private final MemorySegment[] maps = new MemorySegment[MOST_ARGUMENTS];
    /// Sizes, strides, box and steps, null until a map is made.
    private MemorySegment shape;

    TensorMaps(Device device, Arena arena) {
        this.device = device;
        this.arena = arena;
    }

    /// The map of an argument; the same memory whenever the argument is set.
    MemorySegment encode(int index, TensorView view) {
        if (shape == null) {
            shape = arena.allocate(8 * DIMENSIONS * 4, 8);
        }
        if (maps[index] == null) {
            maps[index] = arena.allocate(MAP_BYTES, MAP_ALIGNMENT);
        }
        MemorySegment sizes = part(0);
        sizes.setAtIndex(JAVA_LONG, 0, view.rowBytes());
        sizes.setAtIndex(JAVA_LONG, 1, view.rows());
        sizes.setAtIndex(JAVA_LONG, 2, view.matrices());
        MemorySegment strides = part(1);
        strides.setAtIndex(JAVA_LONG, 0, view.rowStride());
        strides.setAtIndex(JAVA_LONG, 1, view.matrixStride());
        MemorySegment box = part(2);
        box.setAtIndex(JAVA_INT, 0, TensorView.BOX_BYTES);
        box.setAtIndex(JAVA_INT, 1, view.boxRows());
        box.setAtIndex(JAVA_INT, 2, 1);
        MemorySegment steps = part(3);
        for (int i = 0; i < DIMENSIONS; i++) {
            steps.setAtIndex(JAVA_INT, i, 1);
        }
        int code = device.calls().encodeTensorMap(maps[index].address(), view.address(), sizes.address(), strides.address(),
                box.address(), steps.address());
        if (code != DriverCalls.SUCCESS) {
            device.check("cuTensorMapEncodeTiled of " + view, code);
        }
        return maps[index];
    }

    private MemorySegment part(int number) {
        return shape.asSlice(8L * DIMENSIONS * number, 8L * DIMENSIONS);
    }
}
