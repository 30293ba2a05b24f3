package dev.sidewinder.model;

import dev.sidewinder.model.checkpoint.TensorView;
import dev.sidewinder.model.config.ModelConfig;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.Collection;
import java.util.HexFormat;

/// A short name for a set of weights: a hash over the config, every tensor's name, type and shape, and the first bytes of
/// some tensors, so that it is cheap for a mapped checkpoint of any size.
final class Fingerprint {

    /// Enough tensors that retrained weights differ in one, few enough page faults to be free.
    private static final int SAMPLED_TENSORS = 64;
    private static final int SAMPLE_BYTES = 64;

    private Fingerprint() {}

    static String of(ModelConfig config, Collection<TensorView> tensors) {
        MessageDigest digest = sha256();
        digest.update(config.toString().getBytes(StandardCharsets.UTF_8));
        int stride = Math.max(1, tensors.size() / SAMPLED_TENSORS);
        int index = 0;
        for (TensorView tensor : tensors) {
            digest.update((tensor.name() + tensor.type() + tensor.shape() + ";").getBytes(StandardCharsets.UTF_8));
            if (index++ % stride == 0) {
                digest.update(tensor.content().head(SAMPLE_BYTES));
            }
        }
        return HexFormat.of().formatHex(digest.digest(), 0, 8);
    }

    private static MessageDigest sha256() {
        try {
            return MessageDigest.getInstance("SHA-256");
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException("every Java platform has SHA-256", impossible);
        }
    }
}
