package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.LinearOperators.Product;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;

/// Writes our products and those of cuBLAS side by side in the form of the kernels' `blas-choices.csv`, so that a measurement
/// becomes a choice by copying its line.
final class BlasRecord {

    static final String HEADER = "device,first_rows,last_rows,columns,inner,own_micros,cublas_micros,driver,commit";

    private final GpuRun run;
    private final Path file;
    /// Numbers of tokens that are measured, rising.
    private final List<Integer> tokens;
    private final List<String> lines = new ArrayList<>();

    BlasRecord(GpuRun run, Path file, List<Integer> tokens) {
        this.run = run;
        this.file = file;
        this.tokens = List.copyOf(tokens);
    }

    /// A measurement stands for the numbers of tokens around it: from half way (by ratio) to the one before to half way to
    /// the next one.
    void add(Product product, double ownMicros, double blasMicros) {
        int at = tokens.indexOf(product.tokens());
        int first = at == 0 ? 1 : border(tokens.get(at - 1), product.tokens()) + 1;
        int last = at == tokens.size() - 1 ? product.tokens() : border(product.tokens(), tokens.get(at + 1));
        lines.add(String.join(",", cell(run.device()), String.valueOf(first), String.valueOf(last),
                String.valueOf(product.matrix().outputs()), String.valueOf(product.matrix().inputs()),
                String.format(Locale.ROOT, "%.2f", ownMicros), String.format(Locale.ROOT, "%.2f", blasMicros), cell(run.driver()),
                cell(run.commit())));
        write();
    }

    private static int border(int smaller, int larger) {
        return (int) Math.sqrt((double) smaller * larger);
    }

    /// The table's cells have no quotes.
    private static String cell(String text) {
        return text.replace(",", "");
    }

    private void write() {
        List<String> all = new ArrayList<>(List.of(HEADER));
        all.addAll(lines);
        try {
            Files.createDirectories(file.toAbsolutePath().getParent());
            Files.write(file, all);
        } catch (IOException e) {
            throw new UncheckedIOException(file + " cannot be written", e);
        }
    }
}
