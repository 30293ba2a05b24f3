package dev.sidewinder.model;

import static org.assertj.core.api.Assertions.assertThat;

import dev.sidewinder.model.checkpoint.Layouts;
import dev.sidewinder.model.checkpoint.TensorSet;
import dev.sidewinder.model.config.ModelConfig;
import dev.sidewinder.model.synthetic.ShapeSpec;
import dev.sidewinder.model.synthetic.SyntheticModel;
import dev.sidewinder.model.synthetic.WeightFormat;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ModelSummaryTest {

    @Test
    void countsWhatThePublisherCounts() {
        ModelSummary nano = summary("nano-30b", WeightFormat.BF16);

        assertThat(nano.parameters()).isEqualTo(31_577_940_288L);
        assertThat(nano.draftParameters()).isZero();
        assertThat(nano.layers().toString()).isEqualTo("{M=23, E=23, *=6}");
        assertThat(nano.tensors()).isEqualTo(6_243);
        // 2.875 billion in the layers and 0.352 in the head, norms included
        assertThat(nano.activeParameters() / 1e9).isBetween(3.227, 3.229);
        // two bytes each, but 23 x 128 correction biases in fp32
        assertThat(nano.bytes()).isEqualTo(2 * 31_577_940_288L + 2 * 23 * 128);
    }

    /// Published totals in billions, rounded to what was published.
    @ParameterizedTest
    @CsvSource({"super-120b, 120.67, 2.94, 0.005", "lightning-30b, 31.578, 1.335, 0.0005", "nano-9b-v2, 8.89, 0, 0.005",
            "nano-12b-v2, 12.31, 0, 0.005", "nemotron-h-8b, 8.10, 0, 0.005", "nano-4b, 3.97, 0, 0.005"})
    void matchesThePublishedTotals(String shape, double billions, double draftBillions, double rounding) {
        ModelSummary summary = summary(shape, WeightFormat.BF16);

        assertThat(summary.parameters() / 1e9).isBetween(billions - rounding, billions + rounding);
        assertThat(summary.draftParameters() / 1e9).isBetween(draftBillions - rounding, draftBillions + rounding);
    }

    /// Published sizes in GB, rounded to two digits behind the point.
    @ParameterizedTest
    @CsvSource({"FP8, 32.68", "NVFP4, 19.34"})
    void matchesThePublishedSizes(WeightFormat format, double gigabytes) {
        ModelSummary summary = summary("nano-30b", format);

        assertThat(summary.bytes() / 1e9).isBetween(gigabytes - 0.005, gigabytes + 0.005);
        assertThat(summary.parameters()).isEqualTo(31_577_940_288L);
        assertThat(summary.formats().getFirst().format()).isEqualTo(format.name().toLowerCase());
        assertThat(summary.formats().stream().mapToLong(ModelSummary.Stored::parameters).sum())
                .isEqualTo(31_577_940_288L);
        assertThat(summary.formats().stream().mapToInt(ModelSummary.Stored::tensors).sum())
                .isEqualTo(summary.tensors());
    }

    private static ModelSummary summary(String shape, WeightFormat format) {
        var model = new SyntheticModel(ShapeSpec.parse(shape), format, 0);
        ModelConfig config = model.config();
        try (TensorSet tensors = Layouts.untouchable(model.layout())) {
            return ModelSummary.of(config, tensors);
        }
    }
}
