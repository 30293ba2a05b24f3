package dev.sidewinder.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.checkpoint.DType;
import dev.sidewinder.model.checkpoint.SafetensorsBytes;
import dev.sidewinder.model.checkpoint.TestCheckpoints;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashSet;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class FingerprintTest {

    @TempDir
    Path root;

    @Test
    void changesWithShapeFormatAndSeed() {
        Set<String> seen = new HashSet<>();
        for (String location : new String[] {"synthetic:demo", "synthetic:demo?seed=1", "synthetic:demo?format=fp8",
                "synthetic:demo?format=nvfp4", "synthetic:demo,active=2", "synthetic:tiny"}) {
            assertThat(seen.add(fingerprint(location))).as(location).isTrue();
            assertThat(fingerprint(location)).isIn(seen).matches("[0-9a-f]{16}");
        }
    }

    @Test
    void changesWhenTheWeightsDo() throws Exception {
        SafetensorsBytes tensors = TestCheckpoints.tensors(TestCheckpoints.config());
        Path one = TestCheckpoints.folder(Files.createDirectory(root.resolve("one")), TestCheckpoints.CONFIG, tensors);
        Path same = TestCheckpoints.folder(Files.createDirectory(root.resolve("same")), TestCheckpoints.CONFIG, tensors);
        byte[] norm = new byte[96];
        norm[3] = 1;
        Path other = TestCheckpoints.folder(Files.createDirectory(root.resolve("other")), TestCheckpoints.CONFIG,
                tensors.put("backbone.norm_f.weight", DType.BF16, norm, 48));

        assertThat(fingerprint(one.toString())).isEqualTo(fingerprint(same.toString()))
                .isNotEqualTo(fingerprint(other.toString()));
    }

    private static String fingerprint(String location) {
        try (Model model = Model.open(location)) {
            return model.fingerprint();
        }
    }
}
