package dev.sidewinder.server.metrics;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.charset.StandardCharsets;
import java.util.Optional;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class ExpositionTest {

    /// Right-hand sides are what Python 3 prints for `repr(float)`.
    @ParameterizedTest
    @CsvSource({
        "0, 0.0", "3, 3.0", "-3, -3.0", "0.001, 0.001", "1e-4, 0.0001", "1e-5, 1e-05", "1.5e-7, 1.5e-07",
        "2560, 2560.0", "0.1, 0.1", "123.456, 123.456", "1e15, 1000000000000000.0", "123456789012345680, 1.2345678901234568e+17",
        "1e16, 1e+16", "1e22, 1e+22", "1e300, 1e+300", "12345678.9, 12345678.9",
        "9007199254740993, 9007199254740992.0", "0.30000000000000004, 0.30000000000000004", "-0.25, -0.25",
        "1234567890123456.8, 1234567890123456.8", "100.5, 100.5", "Infinity, +Inf", "-Infinity, -Inf"})
    void writesNumbersAsPythonDoes(double value, String expected) {
        var exposition = new Exposition();

        exposition.number(value);

        assertThat(text(exposition.toByteArray())).isEqualTo(expected);
    }

    @Test
    void writesNumbersThatReadBackAsTheyWere() {
        long seed = 20261122;
        Random random = new Random(seed);
        for (int i = 0; i < 100_000; i++) {
            double value = i % 2 == 0 ? random.nextDouble() * Math.pow(10, random.nextInt(40) - 20)
                    : Double.longBitsToDouble(random.nextLong());
            if (Double.isFinite(value)) {
                var exposition = new Exposition();
                exposition.number(value);
                assertThat(Double.parseDouble(text(exposition.toByteArray()))).as("seed %d, draw %d", seed, i).isEqualTo(value);
            }
        }
    }

    @Test
    void writesFamiliesByteForByte() {
        // given one family of each kind
        var registry = new MetricRegistry(new Label("engine", "0"), new Label("model_name", "nemotron-3-nano"));
        registry.gauge("vllm:num_requests_running", "Requests in the running batch.", () -> 3);
        registry.gauge("vllm:cache_config_info", "Cache shape, value is always 1.", () -> 1,
                new Label("block_size", "128"), new Label("cache_dtype", "fp8_e4m3"), new Label("num_gpu_blocks", "20615"));
        Histogram steps = registry.histogram("vllm:iteration_tokens_total", "Tokens per engine step.",
                new double[] {1, 8, 0.5 * 32});
        registry.counter("odd_total", "A \\ and\na line.", new Label("name", "quote \" slash \\ line \n end")).add(7);
        steps.observe(1);
        steps.observe(1.5);
        steps.observe(17);

        // when it is written
        var exposition = new Exposition();
        registry.write(exposition);

        // then it is what a scraper of other servers reads
        assertThat(text(exposition.toByteArray())).isEqualTo("""
                # HELP vllm:num_requests_running Requests in the running batch.
                # TYPE vllm:num_requests_running gauge
                vllm:num_requests_running{engine="0",model_name="nemotron-3-nano"} 3.0
                # HELP vllm:cache_config_info Cache shape, value is always 1.
                # TYPE vllm:cache_config_info gauge
                vllm:cache_config_info{engine="0",model_name="nemotron-3-nano",block_size="128",cache_dtype="fp8_e4m3",num_gpu_blocks="20615"} 1.0
                # HELP vllm:iteration_tokens_total Tokens per engine step.
                # TYPE vllm:iteration_tokens_total histogram
                vllm:iteration_tokens_total_bucket{engine="0",model_name="nemotron-3-nano",le="1.0"} 1.0
                vllm:iteration_tokens_total_bucket{engine="0",model_name="nemotron-3-nano",le="8.0"} 2.0
                vllm:iteration_tokens_total_bucket{engine="0",model_name="nemotron-3-nano",le="16.0"} 2.0
                vllm:iteration_tokens_total_bucket{engine="0",model_name="nemotron-3-nano",le="+Inf"} 3.0
                vllm:iteration_tokens_total_sum{engine="0",model_name="nemotron-3-nano"} 19.5
                vllm:iteration_tokens_total_count{engine="0",model_name="nemotron-3-nano"} 3.0
                # HELP odd_total A \\\\ and\\na line.
                # TYPE odd_total counter
                odd_total{engine="0",model_name="nemotron-3-nano",name="quote \\" slash \\\\ line \\n end"} 7.0
                """);
    }

    @Test
    void takesOnlyJvmAndProcessFromMicrometer() {
        String runtime = """
                # HELP jvm_threads_live_threads Threads
                # TYPE jvm_threads_live_threads gauge
                jvm_threads_live_threads 20.0
                # HELP http_server_requests_seconds not ours
                # TYPE http_server_requests_seconds summary
                http_server_requests_seconds_count 1.0
                process_uptime_seconds 3.0
                """;
        var page = new MetricsPage(new ServerMetrics(), Optional::empty, () -> runtime);

        String text = text(page.render());

        assertThat(text).endsWith("""
                # HELP jvm_threads_live_threads Threads
                # TYPE jvm_threads_live_threads gauge
                jvm_threads_live_threads 20.0
                process_uptime_seconds 3.0
                """).doesNotContain("http_server_requests");
    }

    @Test
    void givesEveryFamilyOneTypeAndItsSamplesTogether() {
        var page = new MetricsPage(new ServerMetrics(), Optional::empty, () -> "");
        String family = null;
        var seen = new java.util.HashSet<String>();
        for (String line : text(page.render()).split("\n")) {
            if (line.startsWith("# TYPE ")) {
                family = line.split(" ")[2];
                assertThat(seen.add(family)).as(line).isTrue();
            } else if (!line.startsWith("# HELP ")) {
                assertThat(line).startsWith(family);
            }
        }
        assertThat(seen).contains("http_requests_total", "sidewinder_requests_total", "sidewinder_aborts_total");
    }

    private static String text(byte[] bytes) {
        return new String(bytes, StandardCharsets.UTF_8);
    }
}
