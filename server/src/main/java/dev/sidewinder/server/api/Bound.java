package dev.sidewinder.server.api;

/// One end of a range of integers: a constant, a setting, or a property of the model.
public sealed interface Bound {

    long resolve(Bounds bounds);

    /// How the documentation prints it; a star marks a setting.
    String label();

    record Fixed(long value) implements Bound {
        @Override
        public long resolve(Bounds bounds) {
            return value;
        }

        @Override
        public String label() {
            if (value == Long.MAX_VALUE) {
                return "2^63-1";
            }
            return value == Long.MIN_VALUE ? "-2^63" : String.valueOf(value);
        }
    }

    record Setting(Limit limit) implements Bound {
        @Override
        public long resolve(Bounds bounds) {
            return bounds.limits().get(limit);
        }

        @Override
        public String label() {
            return limit.standard() + "*";
        }
    }

    enum OfModel implements Bound {
        MAX_MODEL_TOKENS("max_model_len"),
        VOCAB_SIZE("vocab size"),
        LAST_TOKEN_ID("vocab-1");

        private final String label;

        OfModel(String label) {
            this.label = label;
        }

        @Override
        public long resolve(Bounds bounds) {
            return switch (this) {
                case MAX_MODEL_TOKENS -> bounds.maxModelTokens();
                case VOCAB_SIZE -> bounds.vocabSize();
                case LAST_TOKEN_ID -> bounds.vocabSize() - 1L;
            };
        }

        @Override
        public String label() {
            return label;
        }
    }

    static Bound of(long value) {
        return new Fixed(value);
    }

    static Bound of(Limit limit) {
        return new Setting(limit);
    }
}
