package dev.sidewinder.server.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.dataformat.yaml.YAMLMapper;
import dev.sidewinder.engine.ExpertLoad;
import dev.sidewinder.model.Model;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashSet;
import java.util.List;
import java.util.Optional;
import java.util.Set;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.junit.jupiter.api.Test;

/// The alerts that come with the server, as Prometheus reads them.
class AlertRulesTest {

    private static final Path RULES = Path.of("../deploy/prometheus/sidewinder.rules.yaml");
    private static final Pattern SERIES = Pattern.compile("\\b(?:sidewinder|vllm)[_:][a-z_]+");
    private static final Pattern LABELS = Pattern.compile("\\$labels\\.([a-z_]+)");
    /// What a scrape adds to every series.
    private static final Set<String> SCRAPED_LABELS = Set.of("job", "instance");

    private static List<JsonNode> alerts() throws Exception {
        JsonNode file = new YAMLMapper().readTree(Files.readAllBytes(RULES));
        List<JsonNode> alerts = new ArrayList<>();
        for (JsonNode group : file.get("groups")) {
            assertThat(group.get("name").asText()).isNotBlank();
            group.get("rules").forEach(alerts::add);
        }
        assertThat(alerts).isNotEmpty();
        return alerts;
    }

    @Test
    void everyAlertHasANameATimeAndAnExplanation() throws Exception {
        Set<String> names = new HashSet<>();
        for (JsonNode alert : alerts()) {
            assertThat(alert.fieldNames()).toIterable().containsExactlyInAnyOrder("alert", "expr", "for", "labels", "annotations");
            assertThat(alert.get("alert").asText()).matches("Sidewinder[A-Za-z]+");
            assertThat(names.add(alert.get("alert").asText())).as("said once: %s", alert).isTrue();
            assertThat(alert.get("for").asText()).matches("\\d+[sm]");
            assertThat(alert.at("/labels/severity").asText()).isIn("warning", "critical");
            assertThat(alert.at("/annotations/summary").asText()).isNotBlank();
            assertThat(alert.at("/annotations/description").asText()).isNotBlank();
            assertThat(depth(alert.get("expr").asText())).as("open brackets of %s", alert.get("expr")).isZero();
        }
    }

    /// An alert about a series that nobody exposes would never fire.
    @Test
    void everySeriesOfAnAlertIsExposed() throws Exception {
        String scrape = scrapeOfAGpu();
        for (JsonNode alert : alerts()) {
            Matcher series = SERIES.matcher(alert.get("expr").asText());
            assertThat(series.results()).isNotEmpty();
            series.reset();
            while (series.find()) {
                assertThat(scrape).as(alert.get("alert").asText()).containsPattern("\n" + series.group() + "\\{");
            }
            Matcher labels = LABELS.matcher(alert.get("annotations").toString());
            while (labels.find()) {
                assertThat(SCRAPED_LABELS.contains(labels.group(1)) || scrape.contains(labels.group(1) + "=\"")).as(labels.group()).isTrue();
            }
        }
    }

    @Test
    void theAlertAboutExpertWorkIsAsDemanded() throws Exception {
        JsonNode alert = alerts().stream().filter(each -> each.get("alert").asText().equals("SidewinderExpertWorkUneven")).findFirst().orElseThrow();
        assertThat(alert.get("expr").asText()).startsWith("sidewinder_moe_work_imbalance_ratio > 0.05 ").endsWith(">= 64");
        assertThat(alert.get("for").asText()).isEqualTo("15m");
    }

    private static String scrapeOfAGpu() {
        var server = new ServerMetrics();
        var metrics = new EngineMetrics("nano", 1000, new EngineMetrics.CacheInfo(128, 100, "bfloat16", "float32", 1000, 10), server,
                () -> EngineMetricsTest.STATUS);
        try (Model model = Model.open("synthetic:tiny")) {
            metrics.experts(ExpertLoad.withWork(model.config()), false);
            return new String(new MetricsPage(server, () -> Optional.of(metrics), () -> "").render(), StandardCharsets.UTF_8);
        }
    }

    private static int depth(String expression) {
        int depth = 0;
        for (char c : expression.toCharArray()) {
            depth += "([{".indexOf(c) >= 0 ? 1 : ")]}".indexOf(c) >= 0 ? -1 : 0;
            assertThat(depth).isNotNegative();
        }
        return depth;
    }
}
