package dev.sidewinder.cuda.kernel;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import org.junit.jupiter.api.Test;

class BlasChoicesTest {

    private static final String SLOWER = "NVIDIA H100,1,16,10304,2688,20.5,31.0,580.65,0123abc\n";
    private static final String QUICKER = "NVIDIA H100,17,8192,10304,2688,400,350.25,580.65,0123abc\n";

    @Test
    void theRecordedTableCanBeRead() {
        BlasChoices.recorded();
    }

    @Test
    void prefersWhatWasQuickerForThatShapeOnThatDevice() {
        BlasChoices choices = BlasChoices.parse("# why\n" + BlasChoices.HEADER + "\n" + SLOWER + QUICKER);
        assertThat(choices.prefersBlas("NVIDIA H100", 16, 10304, 2688)).isFalse();
        assertThat(choices.prefersBlas("NVIDIA H100", 17, 10304, 2688)).isTrue();
        assertThat(choices.prefersBlas("NVIDIA H100", 8192, 10304, 2688)).isTrue();
    }

    @Test
    void whatWasNotMeasuredIsOurs() {
        BlasChoices choices = BlasChoices.parse(BlasChoices.HEADER + "\n" + QUICKER);
        assertThat(choices.prefersBlas("NVIDIA H100", 16, 10304, 2688)).isFalse();
        assertThat(choices.prefersBlas("NVIDIA H100", 8193, 10304, 2688)).isFalse();
        assertThat(choices.prefersBlas("NVIDIA H100", 100, 2688, 10304)).isFalse();
        assertThat(choices.prefersBlas("NVIDIA H200", 100, 10304, 2688)).isFalse();
        assertThat(BlasChoices.parse(BlasChoices.HEADER).prefersBlas("NVIDIA H100", 1, 1, 1)).isFalse();
    }

    @Test
    void refusesWhatCannotBeMeant() {
        assertThatThrownBy(() -> BlasChoices.parse("device\n")).hasMessageContaining("begins with \"device\"");
        assertThatThrownBy(() -> BlasChoices.parse(BlasChoices.HEADER + "\nNVIDIA H100,1\n"))
                .hasMessageContaining("a line of 2 cells, not 9: NVIDIA H100,1");
        assertThatThrownBy(() -> BlasChoices.parse(BlasChoices.HEADER + "\n" + SLOWER.replace("20.5", "fast")))
                .hasMessageContaining("cannot be read").hasMessageContaining("fast");
        assertThatThrownBy(() -> BlasChoices.parse(BlasChoices.HEADER + "\n" + SLOWER.replace(",1,16,", ",16,1,")))
                .hasMessageContaining("rows 16 to 1");
        assertThatThrownBy(() -> BlasChoices.parse(BlasChoices.HEADER + "\n" + SLOWER + QUICKER.replace(",17,", ",16,")))
                .hasMessageContaining("two measurements speak of the same product");
        assertThatThrownBy(() -> BlasChoices.parse(BlasChoices.HEADER + "\n" + QUICKER.replace(",17,", ",16,") + SLOWER))
                .hasMessageContaining("two measurements speak of the same product");
    }
}
