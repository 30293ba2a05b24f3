package dev.sidewinder.it.support;

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.IOException;
import java.io.InputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Optional;

/// A plain client: JSON in, JSON or events out. HTTP/1.1 unless told otherwise.
public final class Api {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final URI base;
    private final HttpClient client;
    private final Optional<String> key;

    public Api(URI base) {
        this(base, HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build());
    }

    public Api(URI base, HttpClient client) {
        this(base, client, Optional.empty());
    }

    private Api(URI base, HttpClient client, Optional<String> key) {
        this.base = base;
        this.client = client;
        this.key = key;
    }

    /// The same client with an API key.
    public Api withKey(String key) {
        return new Api(base, client, Optional.of(key));
    }

    /// A complete answer.
    public record Answer(HttpResponse<String> response) {
        public int status() {
            return response.statusCode();
        }

        public String text() {
            return response.body();
        }

        public JsonNode json() {
            return parse(response.body());
        }

        public String header(String name) {
            return response.headers().firstValue(name).orElse(null);
        }

        /// `error.code`
        public String code() {
            return json().path("error").path("code").asText();
        }
    }

    public Answer get(String path) throws IOException, InterruptedException {
        return send(request(path).GET().build());
    }

    public Answer post(String path, String json) throws IOException, InterruptedException {
        return send(post(path, json.getBytes(StandardCharsets.UTF_8)).build());
    }

    public Answer send(HttpRequest request) throws IOException, InterruptedException {
        return new Answer(client.send(request, HttpResponse.BodyHandlers.ofString()));
    }

    public HttpRequest.Builder request(String path) {
        HttpRequest.Builder request = HttpRequest.newBuilder(base.resolve(path)).timeout(LIMIT);
        key.ifPresent(each -> request.header("authorization", "Bearer " + each));
        return request;
    }

    public HttpRequest.Builder post(String path, byte[] json) {
        return request(path).header("content-type", "application/json").POST(HttpRequest.BodyPublishers.ofByteArray(json));
    }

    /// Opens a stream of events; the caller reads and closes it.
    public EventReader stream(String path, String json) throws IOException, InterruptedException {
        HttpResponse<InputStream> response = client.send(post(path, json.getBytes(StandardCharsets.UTF_8)).build(),
                HttpResponse.BodyHandlers.ofInputStream());
        return new EventReader(response);
    }

    /// One scrape of `/metrics`: numbers to be compared with each other have to come from the same one.
    public record Metrics(String text) {

        /// The value of one series, as it stands before the value.
        public double value(String series) {
            return text.lines().filter(line -> line.startsWith(series + " ")).findFirst()
                    .map(line -> Double.parseDouble(line.substring(series.length() + 1)))
                    .orElseThrow(() -> new AssertionError("no series " + series));
        }

        /// The sum over all series of a family whose labels contain `part`.
        public double sum(String family, String part) {
            return text.lines().filter(line -> line.startsWith(family + "{") && line.contains(part))
                    .mapToDouble(line -> Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1))).sum();
        }
    }

    public Metrics metrics() throws IOException, InterruptedException {
        return new Metrics(get("/metrics").text());
    }

    /// One value of a scrape of its own.
    public double metric(String series) throws IOException, InterruptedException {
        return metrics().value(series);
    }

    /// One sum of a scrape of its own.
    public double metricSum(String family, String part) throws IOException, InterruptedException {
        return metrics().sum(family, part);
    }

    /// Waits until nothing of any request is left, and checks that the books agree.
    public void awaitRest() throws Exception {
        long deadline = System.nanoTime() + LIMIT.toNanos();
        Map<String, Double> left = left();
        while (!left.isEmpty()) {
            if (System.nanoTime() > deadline) {
                throw new AssertionError("the server should be at rest, and still has " + left);
            }
            Waiting.pause();
            left = left();
        }
    }

    /// What is not zero and should be.
    private Map<String, Double> left() throws IOException, InterruptedException {
        Metrics now = metrics();
        Map<String, Double> left = new LinkedHashMap<>();
        left.put("running", now.sum("vllm:num_requests_running", ""));
        left.put("waiting", now.sum("vllm:num_requests_waiting", ""));
        left.put("blocks", now.sum("sidewinder_kv_blocks", "active") + now.sum("sidewinder_kv_blocks", "fenced"));
        left.put("slots", now.sum("sidewinder_state_slots", "running") + now.sum("sidewinder_state_slots", "fenced"));
        left.put("stream bytes", now.sum("sidewinder_stream_buffer_bytes", ""));
        left.put("slow streams", now.sum("sidewinder_slow_streams", ""));
        left.put("queued", now.sum("sidewinder_queue_requests", ""));
        left.put("queued tokens", now.sum("sidewinder_queue_tokens", ""));
        left.put("received minus ended", now.sum("sidewinder_requests_received_total", "") - now.sum("sidewinder_requests_total", ""));
        left.values().removeIf(value -> value == 0);
        return left;
    }

    public static JsonNode parse(String json) {
        try {
            return MAPPER.readTree(json);
        } catch (IOException e) {
            throw new AssertionError("this is no JSON: " + json, e);
        }
    }
}
