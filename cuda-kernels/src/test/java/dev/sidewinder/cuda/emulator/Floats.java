package dev.sidewinder.cuda.emulator;

import static java.lang.foreign.ValueLayout.JAVA_FLOAT;
import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sidewinder.cuda.device.Device;
import dev.sidewinder.cuda.device.DeviceBuffer;
import java.lang.foreign.Arena;
import java.lang.foreign.MemorySegment;

/// Arrays that come from and go to a device, on its main stream.
final class Floats {

    private Floats() {}

    static DeviceBuffer upload(Device device, float... values) {
        DeviceBuffer buffer = device.allocate(4L * values.length);
        try (Arena arena = Arena.ofConfined()) {
            device.stream().copyToDevice(buffer.address(), arena.allocateFrom(JAVA_FLOAT, values), buffer.bytes());
            device.stream().synchronize();
        }
        return buffer;
    }

    static DeviceBuffer uploadInts(Device device, int... values) {
        DeviceBuffer buffer = device.allocate(4L * values.length);
        try (Arena arena = Arena.ofConfined()) {
            device.stream().copyToDevice(buffer.address(), arena.allocateFrom(JAVA_INT, values), buffer.bytes());
            device.stream().synchronize();
        }
        return buffer;
    }

    static float[] download(DeviceBuffer buffer, Device device) {
        try (Arena arena = Arena.ofConfined()) {
            return bytes(buffer, device, arena).toArray(JAVA_FLOAT);
        }
    }

    static int[] downloadInts(DeviceBuffer buffer, Device device) {
        try (Arena arena = Arena.ofConfined()) {
            return bytes(buffer, device, arena).toArray(JAVA_INT);
        }
    }

    private static MemorySegment bytes(DeviceBuffer buffer, Device device, Arena arena) {
        MemorySegment host = arena.allocate(buffer.bytes(), 4);
        device.stream().copyToHost(host, buffer.address(), buffer.bytes());
        device.stream().synchronize();
        return host;
    }

    /// 0, 1, 2 and so on.
    static float[] counting(int count) {
        float[] values = new float[count];
        for (int i = 0; i < count; i++) {
            values[i] = i;
        }
        return values;
    }
}
