package dev.sidewinder.model.config;

import dev.sidewinder.model.checkpoint.TensorNames;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.ArrayList;

/// What a quantisation config says about each linear map. The files decide (a linear is what its tensors are); this is
/// what they are compared with.
public final class QuantizationConfig {

    /// How a linear map is stored.
    public enum Format {
        PLAIN, FP8, NVFP4
    }

    private final String file;
    private final Format format;
    private final Map<String, Format> layers;
    private final Set<String> excluded = new HashSet<>();
    private final List<String> excludedPatterns = new ArrayList<>();

    /// @param file     name for messages
    /// @param format   of every linear that is not excluded; `PLAIN` with `layers` for mixed precision
    /// @param layers   format by module (or by the parent of several modules), canonical names
    /// @param excluded modules that stay unquantised; `*` stands for anything
    QuantizationConfig(String file, Format format, Map<String, Format> layers, List<String> excluded) {
        this.file = file;
        this.format = format;
        this.layers = Map.copyOf(layers);
        for (String module : excluded) {
            String canonical = TensorNames.canonical(module);
            if (canonical.indexOf('*') >= 0) {
                excludedPatterns.add(canonical);
            } else {
                this.excluded.add(canonical);
            }
        }
    }

    public String file() {
        return file;
    }

    /// The format this config states for a linear map.
    ///
    /// @param module canonical name, `backbone.layers.0.mixer.in_proj`
    public Format expected(String module) {
        if (isExcluded(module)) {
            return Format.PLAIN;
        }
        for (String at = module; !at.isEmpty(); at = parent(at)) {
            Format stated = layers.get(at);
            if (stated != null) {
                return stated;
            }
        }
        return format;
    }

    private boolean isExcluded(String module) {
        for (String at = module; !at.isEmpty(); at = parent(at)) {
            if (excluded.contains(at)) {
                return true;
            }
        }
        for (String pattern : excludedPatterns) {
            if (matches(pattern, module)) {
                return true;
            }
        }
        return false;
    }

    private static String parent(String module) {
        int dot = module.lastIndexOf('.');
        return dot < 0 ? "" : module.substring(0, dot);
    }

    /// Glob match with `*` only: greedy with one point of return, so linear in practice and never exponential.
    static boolean matches(String pattern, String text) {
        int p = 0;
        int t = 0;
        int star = -1;
        int resume = 0;
        while (t < text.length()) {
            if (p < pattern.length() && pattern.charAt(p) == '*') {
                star = p++;
                resume = t;
            } else if (p < pattern.length() && pattern.charAt(p) == text.charAt(t)) {
                p++;
                t++;
            } else if (star >= 0) {
                p = star + 1;
                t = ++resume;
            } else {
                return false;
            }
        }
        while (p < pattern.length() && pattern.charAt(p) == '*') {
            p++;
        }
        return p == pattern.length();
    }
}
