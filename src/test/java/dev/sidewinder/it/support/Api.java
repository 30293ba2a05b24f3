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

/// A plain client: JSON in, JSON or events out. HTTP/1.1 unless told otherwise.
public final class Api {

    private static final ObjectMapper MAPPER = new ObjectMapper();
    private static final Duration LIMIT = Duration.ofSeconds(60);

    private final URI base;
    private final HttpClient client;

    public Api(URI base) {
        this(base, HttpClient.newBuilder().version(HttpClient.Version.HTTP_1_1).build());
    }

    public Api(URI base, HttpClient client) {
        this.base = base;
        this.client = client;
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
        return HttpRequest.newBuilder(base.resolve(path)).timeout(LIMIT);
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

    /// The value of one series of `/metrics`, as it stands before the value.
    public double metric(String series) throws IOException, InterruptedException {
        for (String line : get("/metrics").text().split("\n")) {
            if (line.startsWith(series + " ")) {
                return Double.parseDouble(line.substring(series.length() + 1));
            }
        }
        throw new AssertionError("no series " + series);
    }

    /// The sum over all series of a family whose labels contain `part`.
    public double metricSum(String family, String part) throws IOException, InterruptedException {
        double sum = 0;
        for (String line : get("/metrics").text().split("\n")) {
            if (line.startsWith(family + "{") && line.contains(part)) {
                sum += Double.parseDouble(line.substring(line.lastIndexOf(' ') + 1));
            }
        }
        return sum;
    }

    /// Waits until nothing of any request is left, and checks that the books agree.
    public void awaitRest() throws Exception {
        long deadline = System.nanoTime() + Duration.ofSeconds(20).toNanos();
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
        Map<String, Double> left = new LinkedHashMap<>();
        left.put("running", metricSum("vllm:num_requests_running", ""));
        left.put("waiting", metricSum("vllm:num_requests_waiting", ""));
        left.put("blocks", metricSum("sidewinder_kv_blocks", "active") + metricSum("sidewinder_kv_blocks", "fenced"));
        left.put("slots", metricSum("sidewinder_state_slots", "running") + metricSum("sidewinder_state_slots", "fenced"));
        left.put("stream bytes", metricSum("sidewinder_stream_buffer_bytes", ""));
        left.put("slow streams", metricSum("sidewinder_slow_streams", ""));
        left.put("queued", metricSum("sidewinder_queue_requests", ""));
        left.put("queued tokens", metricSum("sidewinder_queue_tokens", ""));
        left.put("received minus ended", metricSum("sidewinder_requests_received_total", "")
                - metricSum("sidewinder_requests_total", ""));
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
