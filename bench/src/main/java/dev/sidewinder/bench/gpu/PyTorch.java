package dev.sidewinder.bench.gpu;

import dev.sidewinder.bench.gpu.Ceilings.Arithmetic;
import dev.sidewinder.bench.gpu.Operator.Work;
import dev.sidewinder.cuda.kernel.AttentionShape;
import dev.sidewinder.cuda.kernel.CacheType;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStream;
import java.io.PrintStream;
import java.io.Writer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardCopyOption;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.TimeUnit;
import java.util.function.Consumer;

/// Lets PyTorch do the same work on the same device, where Python has it: `operators.py` among the resources.
final class PyTorch {

    private static final String SCRIPT = "operators.py";
    private static final int PROBE_SECONDS = 60;

    /// @param line for the script
    record Request(String line, String name, String shape, Work work) {}

    private final String python;
    private final int repeats;
    private final PrintStream progress;

    /// @param python program to start
    PyTorch(String python, int repeats, PrintStream progress) {
        this.python = python;
        this.repeats = repeats;
        this.progress = progress;
    }

    static List<Request> requests(ModelSizes sizes) {
        List<Request> requests = new ArrayList<>();
        for (LinearOperators.Product product : LinearOperators.inBf16(sizes)) {
            LinearOperators.Matrix matrix = product.matrix();
            String size = product.tokens() + " " + matrix.outputs() + " " + matrix.inputs();
            requests.add(new Request("linear bf16 " + size, "linear bf16", product.shape(), product.work()));
            // its kernel takes sizes that are multiples of 16
            if (product.tokens() % 16 == 0 && matrix.outputs() % 16 == 0 && matrix.inputs() % 16 == 0) {
                Work work = product.work();
                requests.add(new Request("linear fp8 " + size, "linear fp8", product.shape(), new Work(
                        work.bytes() - product.weightBytes() / 2.0 - (double) product.tokens() * matrix.inputs(), work.flops(),
                        Arithmetic.FP8)));
            }
        }
        AttentionShape heads = sizes.attention();
        String suffix = " " + heads.queryHeads() + " " + heads.kvHeads() + " " + heads.headDim();
        for (int context : sizes.contexts()) {
            requests.add(decode(heads, 1, context, suffix));
        }
        for (int context : sizes.batch()) {
            requests.add(decode(heads, sizes.sequences(), context, suffix));
        }
        for (int tokens : sizes.prompt()) {
            requests.add(new Request("prompt " + tokens + suffix, "attention prompt bf16", "from=0 T=" + tokens,
                    AttentionOperators.promptWork(heads, CacheType.BF16, 0, tokens)));
        }
        return requests;
    }

    private static Request decode(AttentionShape heads, int sequences, int context, String suffix) {
        return new Request("decode " + sequences + " " + context + suffix, "attention decode bf16",
                "B=%d L=%d".formatted(sequences, context), AttentionOperators.decodeWork(heads, CacheType.BF16, sequences, context));
    }

    /// Whether it can be used: Python is there, has PyTorch, and that sees a device.
    boolean isUsable() {
        try {
            Process probe = new ProcessBuilder(python, "-c", "import torch, sys; sys.exit(0 if torch.cuda.is_available() else 1)")
                    .redirectOutput(ProcessBuilder.Redirect.DISCARD).redirectError(ProcessBuilder.Redirect.DISCARD).start();
            probe.getOutputStream().close();
            if (!probe.waitFor(PROBE_SECONDS, TimeUnit.SECONDS)) {
                probe.destroyForcibly();
                return false;
            }
            return probe.exitValue() == 0;
        } catch (IOException noPython) {
            return false;
        } catch (InterruptedException stopped) {
            Thread.currentThread().interrupt();
            return false;
        }
    }

    /// Measures one request after the other, in a process of its own that is ended in any case.
    ///
    /// @return requests that the time was too short for
    List<String> measure(List<Request> requests, Ceilings ceilings, Deadline deadline, Consumer<GpuRow> rows) throws IOException {
        Path script = Files.createTempFile("sidewinder-operators-", ".py");
        Process process = null;
        try {
            try (InputStream resource = PyTorch.class.getResourceAsStream(SCRIPT)) {
                Files.copy(resource, script, StandardCopyOption.REPLACE_EXISTING);
            }
            process = new ProcessBuilder(python, script.toString(), String.valueOf(repeats))
                    .redirectError(ProcessBuilder.Redirect.DISCARD).start();
            return converse(process, requests, ceilings, deadline, rows);
        } finally {
            if (process != null) {
                process.destroyForcibly();
            }
            Files.delete(script);
        }
    }

    private List<String> converse(Process process, List<Request> requests, Ceilings ceilings, Deadline deadline,
            Consumer<GpuRow> rows) throws IOException {
        List<String> notReached = new ArrayList<>();
        try (Writer input = process.outputWriter(StandardCharsets.UTF_8);
                BufferedReader output = process.inputReader(StandardCharsets.UTF_8)) {
            progress.println("PyTorch: " + output.readLine());
            for (Request request : requests) {
                if (deadline.isPassed()) {
                    notReached.add("PyTorch, " + request.line());
                    continue;
                }
                progress.println("[PyTorch] " + request.line());
                input.write(request.line() + "\n");
                input.flush();
                String answer = output.readLine();
                if (answer == null) {
                    progress.println("    PyTorch ended; what is left of the comparison is left out");
                    return notReached;
                }
                take(request, answer, ceilings, rows);
            }
        }
        return notReached;
    }

    private void take(Request request, String answer, Ceilings ceilings, Consumer<GpuRow> rows) {
        String[] words = answer.split(" ");
        if (words.length != 3 || !words[0].equals("ok")) {
            progress.println("    " + answer);
            return;
        }
        double median = Double.parseDouble(words[1]);
        rows.accept(new GpuRow(GpuRow.Kind.PYTORCH, request.name(), request.shape(), median,
                Math.max(median, Double.parseDouble(words[2])), request.work().bytes(), request.work().flops(),
                ceilings.floorMicros(request.work().bytes(), request.work().flops(), request.work().arithmetic()), ""));
    }
}
