package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.kvcache.ReuseEstimate;
import java.io.ByteArrayInputStream;
import java.nio.charset.StandardCharsets;
import java.util.Map;
import javax.xml.parsers.DocumentBuilderFactory;
import org.junit.jupiter.api.Test;
import org.w3c.dom.Document;

class TimelineTest {

    private static final long SECOND = 1_000_000_000;

    @Test
    void weighsCountsByTime() {
        var timeline = new Timeline(10 * SECOND);
        timeline.advance(4 * SECOND, 2, 0, 1);
        timeline.advance(10 * SECOND, 7, 5, 0);
        Timeline.Point point = timeline.points().getFirst();
        assertThat(point.running()).isCloseTo(0.4 * 2 + 0.6 * 7, within(1e-9));
        assertThat(point.waiting()).isCloseTo(0.6 * 5, within(1e-9));
        assertThat(point.suspended()).isCloseTo(0.4, within(1e-9));
    }

    @Test
    void spreadsALongStepOverSeveralPieces() {
        var timeline = new Timeline(10 * SECOND);
        timeline.advance(35 * SECOND, 3, 1, 0);
        assertThat(timeline.points()).hasSize(3).allSatisfy(point -> assertThat(point.running()).isCloseTo(3, within(1e-9)));
        assertThat(timeline.points()).extracting(Timeline.Point::fromSeconds).containsExactly(0.0, 10.0, 20.0);
    }

    @Test
    void countsTokensInThePieceInWhichTheyCame() {
        var timeline = new Timeline(10 * SECOND);
        timeline.advance(SECOND, 1, 0, 0);
        timeline.firstToken(0.5);
        timeline.token(0.02);
        timeline.prompt(300);
        timeline.reused(700);
        timeline.advance(12 * SECOND, 1, 0, 0);
        timeline.token(0.04);
        timeline.advance(20 * SECOND, 1, 0, 0);
        Timeline.Point first = timeline.points().get(0);
        assertThat(first.generated()).isEqualTo(0.2);
        assertThat(first.computedPrompt()).isEqualTo(30);
        assertThat(first.reusedPrompt()).isEqualTo(70);
        assertThat(first.firstToken50()).isEqualTo(0.5);
        assertThat(first.gap99()).isCloseTo(0.02, within(1e-6));
        Timeline.Point second = timeline.points().get(1);
        assertThat(second.generated()).isEqualTo(0.1);
        assertThat(second.gap50()).isCloseTo(0.04, within(1e-6));
        assertThat(second.firstToken50()).isNaN();
    }

    @Test
    void drawsARunForLightAndForDark() throws Exception {
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 1.0), 60, 1);
        var bounds = new Simulation.Bounds(SimulatedModels.LIMITS, 1024, ReuseEstimate.DEFAULT, new Simulation.Span(60, 0, 1));
        SimulationResult result = new Simulation(SimulatedModels.nano(1, 1), bounds, Policies.ALL, traffic).run();

        String svg = TimelinePicture.of(new Heading("a model < 40 GiB & more", "traffic", "bounds"), result);

        Document document = DocumentBuilderFactory.newInstance().newDocumentBuilder()
                .parse(new ByteArrayInputStream(svg.getBytes(StandardCharsets.UTF_8)));
        assertThat(document.getElementsByTagName("title").item(0).getTextContent()).contains("a model < 40 GiB & more");
        assertThat(svg).contains("prefers-color-scheme: dark").contains("generated tokens a second").doesNotContain("NaN").doesNotContain("Infinity");
        // every part of the memory adds up to the whole, at all times
        assertThat(result.timeline()).allSatisfy(point -> {
            double sum = 0;
            for (double part : point.memory().parts()) {
                assertThat(part).isBetween(0.0, 1.0);
                sum += part;
            }
            assertThat(sum).isCloseTo(1, within(1e-9));
        });
        assertThat(ResultJson.timelineCsv(result).lines()).allSatisfy(line -> assertThat(line.split(",", -1)).hasSize(17));
    }
}
