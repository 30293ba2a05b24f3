package dev.sidewinder.model.checkpoint;

import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;

/// Safetensors files for tests, made of whatever one asks for: right ones and wrong ones.
public final class SafetensorsBytes {

    private final Map<String, Tensor> tensors = new LinkedHashMap<>();
    private final Map<String, String> metadata = new LinkedHashMap<>();

    private record Tensor(String type, long[] shape, byte[] data) {}

    /// Adds a tensor whose bytes are all zero.
    public SafetensorsBytes zeros(String name, DType type, long... shape) {
        long bytes = Arrays.stream(shape).reduce(type.bytes(), (a, b) -> a * b);
        return put(name, type, new byte[(int) bytes], shape);
    }

    public SafetensorsBytes put(String name, DType type, byte[] data, long... shape) {
        tensors.put(name, new Tensor(type.name(), shape, data));
        return this;
    }

    public SafetensorsBytes floats(String name, float[] values, long... shape) {
        ByteBuffer data = ByteBuffer.allocate(values.length * Float.BYTES).order(ByteOrder.LITTLE_ENDIAN);
        for (float value : values) {
            data.putFloat(value);
        }
        return put(name, DType.F32, data.array(), shape);
    }

    /// Adds free text to the header.
    public SafetensorsBytes metadata(String name, String value) {
        metadata.put(name, value);
        return this;
    }

    public SafetensorsBytes remove(String name) {
        if (tensors.remove(name) == null) {
            throw new IllegalArgumentException("no tensor " + name);
        }
        return this;
    }

    public byte[] bytes() {
        var header = new StringBuilder("{");
        if (!metadata.isEmpty()) {
            header.append("\"__metadata__\":").append((Object) new ObjectMapper().valueToTree(metadata));
        }
        var data = new ByteArrayOutputStream();
        tensors.forEach((name, tensor) -> {
            header.append(header.length() > 1 ? "," : "").append('"').append(name).append("\":{\"dtype\":\"")
                    .append(tensor.type).append("\",\"shape\":").append(Arrays.toString(tensor.shape))
                    .append(",\"data_offsets\":[").append(data.size()).append(',')
                    .append(data.size() + tensor.data.length).append("]}");
            data.writeBytes(tensor.data);
        });
        return file(header.append('}').toString(), data.toByteArray());
    }

    public Path write(Path path) {
        return write(path, bytes());
    }

    /// A file with this header, however wrong, in front of this data.
    public static byte[] file(String header, byte[] data) {
        byte[] json = header.getBytes(StandardCharsets.UTF_8);
        return ByteBuffer.allocate(8 + json.length + data.length).order(ByteOrder.LITTLE_ENDIAN).putLong(json.length)
                .put(json).put(data).array();
    }

    public static Path write(Path path, byte[] content) {
        try {
            return Files.write(path, content);
        } catch (IOException failed) {
            throw new UncheckedIOException(failed);
        }
    }
}
