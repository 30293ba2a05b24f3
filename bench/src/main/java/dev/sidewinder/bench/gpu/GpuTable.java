package dev.sidewinder.bench.gpu;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;

/// Rows as text for people: one in full, or all of them in short, an operator's sizes side by side.
final class GpuTable {

    private static final int SIZES_OF_A_LINE = 5;

    private GpuTable() {}

    static String line(GpuRow row) {
        return String.format(Locale.ROOT, "%-26s %-18s %10s µs, p95 %s %s %s %s", row.name() + whose(row.kind()), row.shape(),
                micros(row.medianMicros()), micros(row.p95Micros()), rate(row), share(row, "%s of the floor"), row.note())
                .stripTrailing();
    }

    /// A line for each operator and matrix: µs, and how much of that the floor is. Limits and steps have a line for each row.
    static List<String> lines(List<GpuRow> rows) {
        Map<String, List<GpuRow>> groups = new LinkedHashMap<>();
        for (GpuRow row : rows) {
            groups.computeIfAbsent(group(row), _ -> new ArrayList<>()).add(row);
        }
        List<String> lines = new ArrayList<>();
        groups.forEach((name, group) -> {
            if (isInFull(group.getFirst())) {
                group.forEach(row -> lines.add(line(row)));
            } else {
                lines.addAll(inShort(name, group));
            }
        });
        return lines;
    }

    private static boolean isInFull(GpuRow row) {
        return switch (row.kind()) {
            case CEILING, STEP -> true;
            case KERNEL, CUBLAS, PYTORCH -> false;
        };
    }

    private static String group(GpuRow row) {
        int last = row.shape().lastIndexOf(' ');
        return row.name() + whose(row.kind()) + (last < 0 || isInFull(row) ? "" : ", " + row.shape().substring(0, last));
    }

    private static List<String> inShort(String name, List<GpuRow> group) {
        List<String> lines = new ArrayList<>();
        for (int first = 0; first < group.size(); first += SIZES_OF_A_LINE) {
            StringBuilder line = new StringBuilder(String.format("%-34s", first == 0 ? name : ""));
            for (GpuRow row : group.subList(first, Math.min(group.size(), first + SIZES_OF_A_LINE))) {
                line.append(' ').append(row.shape().substring(row.shape().lastIndexOf(' ') + 1)).append(": ")
                        .append(micros(row.medianMicros())).append(share(row, " (%s)")).append(';');
            }
            line.setLength(line.length() - 1);
            lines.add(line.toString());
        }
        return lines;
    }

    private static String whose(GpuRow.Kind kind) {
        return switch (kind) {
            case CUBLAS -> " cuBLAS";
            case PYTORCH -> " PyTorch";
            case CEILING, KERNEL, STEP -> "";
        };
    }

    /// TFLOP/s where operations set the floor (a hundred or more for each byte), else GB/s.
    private static String rate(GpuRow row) {
        if (row.flops() > 100 * row.bytes()) {
            return number("%.0f TFLOP/s", row.teraflopsPerSecond());
        }
        return row.bytes() == 0 ? "" : number("%,.0f GB/s", row.gigabytesPerSecond());
    }

    private static String share(GpuRow row, String format) {
        return Double.isNaN(row.fraction()) ? "" : format.formatted(number("%.0f %%", 100 * row.fraction()));
    }

    private static String micros(double value) {
        return number(value < 100 ? "%.1f" : "%,.0f", value);
    }

    private static String number(String format, double value) {
        return String.format(Locale.ROOT, format, value);
    }
}
