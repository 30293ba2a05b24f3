package dev.sidewinder.server.metrics;

import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/// Writes the Prometheus text format 0.0.4 into a buffer that is kept between scrapes. One thread at a time.
///
/// Numbers look as Python's `repr` of a float writes them (`3.0`, `0.001`, `1e-05`), because scrapers of other servers
/// were tested against those.
final class Exposition {

    /// From here on, and below 10^-4, Python writes an exponent.
    private static final int MAX_PLAIN_EXPONENT = 16;
    private static final int MIN_PLAIN_EXPONENT = -4;
    private static final double MAX_PLAIN_INTEGER = 1e15;

    private final StringBuilder scratch = new StringBuilder(32);
    private final byte[] digits = new byte[24];
    private byte[] buffer = new byte[64 * 1024];
    private int size;

    void clear() {
        size = 0;
    }

    byte[] toByteArray() {
        return Arrays.copyOf(buffer, size);
    }

    void family(String name, String type, String help) {
        text("# HELP ");
        text(name);
        text(" ");
        text(help.replace("\\", "\\\\").replace("\n", "\\n"));
        text("\n# TYPE ");
        text(name);
        text(" ");
        text(type);
        text("\n");
    }

    /// @param series name and labels, encoded
    void sample(byte[] series, double value) {
        bytes(series);
        append(' ');
        number(value);
        append('\n');
    }

    void text(String text) {
        bytes(text.getBytes(StandardCharsets.UTF_8));
    }

    void bytes(byte[] bytes) {
        reserve(bytes.length);
        System.arraycopy(bytes, 0, buffer, size, bytes.length);
        size += bytes.length;
    }

    /// Writes a number as Python's `repr(float)` does.
    void number(double value) {
        if (Double.isNaN(value)) {
            text("NaN");
        } else if (Double.isInfinite(value)) {
            text(value > 0 ? "+Inf" : "-Inf");
        } else if (value == Math.rint(value) && Math.abs(value) < MAX_PLAIN_INTEGER) {
            integer((long) value);
            append('.');
            append('0');
        } else {
            fraction(value);
        }
    }

    private void integer(long value) {
        long rest = Math.abs(value);
        int length = 0;
        do {
            digits[length++] = (byte) ('0' + rest % 10);
            rest /= 10;
        } while (rest > 0);
        if (value < 0) {
            append('-');
        }
        while (length > 0) {
            append((char) digits[--length]);
        }
    }

    /// Java and Python agree on the shortest digits and differ in where the exponent begins: takes the digits apart and
    /// puts them together again.
    private void fraction(double value) {
        scratch.setLength(0);
        scratch.append(Math.abs(value));
        int length = 0;
        int exponent = 0;
        int point = -1;
        for (int i = 0; i < scratch.length(); i++) {
            char c = scratch.charAt(i);
            if (c == '.') {
                point = length;
            } else if (c == 'E') {
                exponent = Integer.parseInt(scratch, i + 1, scratch.length(), 10);
                break;
            } else {
                digits[length++] = (byte) c;
            }
        }
        int first = 0;
        while (first < length - 1 && digits[first] == '0') {
            first++;
        }
        while (length > first + 1 && digits[length - 1] == '0') {
            length--;
        }
        // the value is d.ddd x 10^exponent
        exponent += point - first - 1;
        if (value < 0) {
            append('-');
        }
        write(first, length, exponent);
    }

    private void write(int first, int end, int exponent) {
        if (exponent < MIN_PLAIN_EXPONENT || exponent >= MAX_PLAIN_EXPONENT) {
            append((char) digits[first]);
            if (end > first + 1) {
                append('.');
                digits(first + 1, end);
            }
            append('e');
            append(exponent < 0 ? '-' : '+');
            if (Math.abs(exponent) < 10) {
                append('0');
            }
            integer(Math.abs(exponent));
        } else if (exponent < 0) {
            append('0');
            append('.');
            zeros(-exponent - 1);
            digits(first, end);
        } else {
            int whole = Math.min(end, first + exponent + 1);
            digits(first, whole);
            zeros(first + exponent + 1 - whole);
            append('.');
            if (whole < end) {
                digits(whole, end);
            } else {
                append('0');
            }
        }
    }

    private void digits(int from, int to) {
        for (int i = from; i < to; i++) {
            append((char) digits[i]);
        }
    }

    private void zeros(int count) {
        for (int i = 0; i < count; i++) {
            append('0');
        }
    }

    private void append(char c) {
        reserve(1);
        buffer[size++] = (byte) c;
    }

    private void reserve(int bytes) {
        if (buffer.length - size < bytes) {
            buffer = Arrays.copyOf(buffer, Math.max(buffer.length * 2, size + bytes));
        }
    }
}
