package dev.sidewinder.server.metrics;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.DoubleSupplier;

/// The families of one group of metrics, in the order they were added. Series are all added at start, so that a rate
/// works from the first scrape. Reading a series touches atomics only, never the engine thread.
public final class MetricRegistry {

    private enum Type {
        COUNTER, GAUGE, HISTOGRAM;

        String text() {
            return name().toLowerCase(java.util.Locale.ROOT);
        }
    }

    private sealed interface Series {

        /// Name and labels, encoded once.
        record Value(byte[] name, DoubleSupplier value) implements Series {}

        /// @param buckets name and labels of each bucket
        record Distribution(byte[][] buckets, byte[] sum, byte[] count, Histogram histogram) implements Series {}
    }

    private record Family(String name, Type type, String help, Map<List<Label>, Series> series) {}

    private final Map<String, Family> families = new LinkedHashMap<>();
    private final List<Label> common;

    /// @param common labels that every series has, in front of its own
    public MetricRegistry(Label... common) {
        this.common = List.of(common);
    }

    public Counter counter(String name, String help, Label... labels) {
        var counter = new Counter();
        counter(name, help, counter::value, labels);
        return counter;
    }

    /// A counter that somebody else keeps.
    public void counter(String name, String help, DoubleSupplier value, Label... labels) {
        if (!name.endsWith("_total")) {
            throw new IllegalArgumentException("the name of a counter ends in _total: " + name);
        }
        value(name, Type.COUNTER, help, value, labels);
    }

    public void gauge(String name, String help, DoubleSupplier value, Label... labels) {
        value(name, Type.GAUGE, help, value, labels);
    }

    public Histogram histogram(String name, String help, double[] bounds, Label... labels) {
        var histogram = new Histogram(bounds);
        byte[][] buckets = new byte[histogram.buckets()][];
        for (int i = 0; i < buckets.length; i++) {
            var exposition = new Exposition();
            exposition.number(histogram.bound(i));
            Label le = new Label("le", new String(exposition.toByteArray(), StandardCharsets.UTF_8));
            buckets[i] = series(name + "_bucket", labels, le);
        }
        add(name, Type.HISTOGRAM, help, labels, new Series.Distribution(buckets, series(name + "_sum", labels),
                series(name + "_count", labels), histogram));
        return histogram;
    }

    private void value(String name, Type type, String help, DoubleSupplier value, Label... labels) {
        add(name, type, help, labels, new Series.Value(series(name, labels), value));
    }

    private void add(String name, Type type, String help, Label[] labels, Series series) {
        Family family = families.computeIfAbsent(name, key -> new Family(name, type, help, new LinkedHashMap<>()));
        if (family.type() != type || !family.help().equals(help)) {
            throw new IllegalArgumentException(name + " is a " + family.type().text() + " already: " + family.help());
        }
        if (family.series().put(List.of(labels), series) != null) {
            throw new IllegalArgumentException(name + " has these labels already: " + Arrays.toString(labels));
        }
    }

    private byte[] series(String name, Label[] labels, Label... last) {
        List<String> texts = new ArrayList<>();
        common.forEach(label -> texts.add(label.text()));
        Arrays.asList(labels).forEach(label -> texts.add(label.text()));
        Arrays.asList(last).forEach(label -> texts.add(label.text()));
        String braces = texts.isEmpty() ? "" : "{" + String.join(",", texts) + "}";
        return (name + braces).getBytes(StandardCharsets.UTF_8);
    }

    /// Names of all families.
    java.util.Set<String> names() {
        return families.keySet();
    }

    void write(Exposition out) {
        for (Family family : families.values()) {
            out.family(family.name(), family.type().text(), family.help());
            for (Series series : family.series().values()) {
                switch (series) {
                    case Series.Value value -> out.sample(value.name(), value.value().getAsDouble());
                    case Series.Distribution distribution -> write(out, distribution);
                }
            }
        }
    }

    /// The count is the sum of the buckets as they were read, so a scrape never contradicts itself.
    private static void write(Exposition out, Series.Distribution distribution) {
        Histogram histogram = distribution.histogram();
        long count = 0;
        for (int i = 0; i < histogram.buckets(); i++) {
            count += histogram.count(i);
            out.sample(distribution.buckets()[i], count);
        }
        out.sample(distribution.sum(), histogram.sum());
        out.sample(distribution.count(), count);
    }
}
