package dev.sidewinder.server.cli;

import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import dev.sidewinder.engine.cuda.CudaDevice;
import dev.sidewinder.engine.cuda.CudaFootprint;
import dev.sidewinder.engine.cuda.CudaOptions;
import dev.sidewinder.engine.cuda.KvFormat;
import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.model.Model;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Optional;

/// What of a model fits into the memory of a GPU: one that is here, or one of a stated size.
///
/// @param device  what it is, for people
/// @param bf16    with keys and values in bf16
/// @param fp8     with keys and values in fp8
/// @param lengths of sequences
record DeviceInspection(String device, CudaFootprint bf16, CudaFootprint fp8, List<Integer> lengths) {

    /// The sizes of a step that the server plans for by default.
    private static final int STEP_TOKENS = 8192;
    private static final int SEQUENCES = 256;
    private static final double GIB = 1L << 30;
    private static final double MIB = 1L << 20;

    /// Of a device that is not here.
    static DeviceInspection stated(Model model, long bytes, List<Integer> lengths) {
        return new DeviceInspection(String.format(Locale.ROOT, "a GPU with %.2f GiB, as stated", bytes / GIB),
                CudaFootprint.estimate(model.config(), model.weights(), options(KvFormat.BF16, lengths), bytes),
                CudaFootprint.estimate(model.config(), model.weights(), options(KvFormat.E4M3, lengths), bytes), lengths);
    }

    /// Of a device of this machine.
    ///
    /// @throws dev.sidewinder.engine.BackendUnavailableException saying why there is none that runs the model
    static DeviceInspection here(Model model, int ordinal, List<Integer> lengths) {
        try (CudaDevice device = CudaDevice.open(Optional.empty(), Optional.empty(), ordinal)) {
            return new DeviceInspection(device.description(),
                    device.footprint(model.config(), model.weights(), options(KvFormat.BF16, lengths)),
                    device.footprint(model.config(), model.weights(), options(KvFormat.E4M3, lengths)), lengths);
        }
    }

    private static CudaOptions options(KvFormat format, List<Integer> lengths) {
        return new CudaOptions(STEP_TOKENS, SEQUENCES, lengths.getLast(), format, false, true);
    }

    List<String> lines() {
        List<String> lines = new ArrayList<>();
        lines.add("on " + device + ":");
        lines.add(line("weights", bf16.weightBytes(), ""));
        lines.add(line("workspace", bf16.workspaceBytes(), String.format(Locale.ROOT, "%sfor steps of %,d tokens and %d sequences",
                bf16.estimated() ? "about, " : "", STEP_TOKENS, SEQUENCES)));
        lines.add(line("driver", bf16.driverBytes(), ""));
        if (bf16.cacheBytes() <= 0) {
            lines.add(String.format(Locale.ROOT, "  This is %.2f GiB more than there is: the model does not fit.",
                    -bf16.cacheBytes() / GIB));
            return lines;
        }
        lines.add(line("left", bf16.cacheBytes(), "for states, keys and values"));
        lines.add(String.format(Locale.ROOT, "  a sequence takes %.1f MiB of state, and a token %,d B of keys and values in bf16, %,d B in fp8",
                bf16.stateBytes() / (double) (1L << 20), bf16.blockBytes() / 128, fp8.blockBytes() / 128));
        lines.add(frames("bf16", bf16));
        lines.add(frames("fp8", fp8));
        lines.add(String.format(Locale.ROOT, "  %-28s %12s %12s", "sequences that fit", "bf16", "fp8"));
        for (int length : lengths) {
            lines.add(String.format(Locale.ROOT, "    of %,12d tokens       %,12d %,12d", length, bf16.sequencesThatFit(length),
                    fp8.sequencesThatFit(length)));
        }
        return lines;
    }

    private static String frames(String format, CudaFootprint footprint) {
        return footprint.frames().map(frames -> String.format(Locale.ROOT,
                "  in %-4s %,d frames of %.1f MiB: a state, with %.1f MiB unused, or %,d blocks of 128 tokens", format,
                frames.frames(), footprint.frameBytes() / MIB, (footprint.frameBytes() - footprint.stateBytes()) / MIB,
                frames.blocksPerFrame())).orElse("  in " + format + " not even two frames: no sequence fits");
    }

    private static void addFrames(ObjectNode node, CudaFootprint footprint) {
        node.put("frame_bytes", footprint.frameBytes()).put("wasted_state_bytes", footprint.frameBytes() - footprint.stateBytes());
        node.put("frames", footprint.frames().map(FrameShape::frames).orElse(0));
        node.put("blocks_per_frame", footprint.frames().map(FrameShape::blocksPerFrame).orElse(0));
    }

    private static String line(String what, long bytes, String note) {
        return String.format(Locale.ROOT, "  %-10s %8.2f GiB  %s", what, bytes / GIB, note).stripTrailing();
    }

    void addTo(ObjectNode root) {
        ObjectNode node = root.putObject("device");
        node.put("name", device).put("bytes", bf16.deviceBytes()).put("weight_bytes", bf16.weightBytes());
        node.put("workspace_bytes", bf16.workspaceBytes()).put("workspace_estimated", bf16.estimated());
        node.put("driver_bytes", bf16.driverBytes()).put("cache_bytes", bf16.cacheBytes());
        node.put("state_bytes", bf16.stateBytes());
        node.put("kv_bytes_per_token_bf16", bf16.blockBytes() / 128).put("kv_bytes_per_token_fp8", fp8.blockBytes() / 128);
        addFrames(node.putObject("frames_bf16"), bf16);
        addFrames(node.putObject("frames_fp8"), fp8);
        ArrayNode fits = node.putArray("fits");
        for (int length : lengths) {
            fits.addObject().put("tokens", length).put("sequences_bf16", bf16.sequencesThatFit(length))
                    .put("sequences_fp8", fp8.sequencesThatFit(length));
        }
    }
}
