package dev.sidewinder.bench.simulate;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.function.ToDoubleFunction;

/// Draws what happened when, as SVG: sequences, memory, tokens and waiting times, one panel below the other. Follows the
/// reader's choice of a light or a dark background.
final class TimelinePicture {

    private static final int WIDTH = 1200;
    private static final int LEFT = 70;
    private static final int RIGHT = 24;
    private static final int PANEL_HEIGHT = 130;
    private static final int PANEL_GAP = 54;
    private static final int TOP = 106;

    /// Paper, ink, faint ink, grid, and the colours a to f. Viewers without media queries show the light ones.
    private static final List<String> LIGHT = List.of("#ffffff", "#1c1c1c", "#6b6b6b", "#e3e3e3", "#0060a8", "#c85200", "#8f3f97",
            "#57a8dd", "#efb46a", "#a3a3a3");
    private static final List<String> DARK = List.of("#16181c", "#ececec", "#9d9d9d", "#32363d", "#4aa3ec", "#ff8f3f", "#d88be0",
            "#2b6f9e", "#9c6523", "#6d6d6d");

    /// One curve, or one layer of a stack.
    ///
    /// @param colour name of a class of the style sheet
    private record Series(String name, String colour, ToDoubleFunction<Timeline.Point> value) {}

    private final SimulationResult result;
    private final List<Timeline.Point> points;
    private final double seconds;
    private final StringBuilder svg = new StringBuilder();
    private int panelTop = TOP;

    private TimelinePicture(SimulationResult result) {
        this.result = result;
        points = result.timeline();
        double piece = points.size() > 1 ? points.get(1).fromSeconds() - points.get(0).fromSeconds() : 1;
        seconds = points.isEmpty() ? 1 : points.getLast().fromSeconds() + piece;
    }

    static String of(Heading heading, SimulationResult result) {
        return new TimelinePicture(result).draw(heading);
    }

    private String draw(Heading heading) {
        begin(heading);
        lines("sequences", List.of(new Series("with memory", "a", Timeline.Point::running), new Series("waiting", "b", Timeline.Point::waiting),
                new Series("suspended", "c", Timeline.Point::suspended)), 1);
        stack("pool by use, %", memoryLayers());
        lines("generated tokens a second", List.of(new Series("tokens", "a", Timeline.Point::generated)), 1);
        stack("prompt tokens a second", List.of(new Series("computed", "b", Timeline.Point::computedPrompt),
                new Series("reused", "d", Timeline.Point::reusedPrompt)));
        lines("gap between tokens, ms", List.of(new Series("50 %", "a", point -> 1000 * point.gap50()),
                new Series("99 %", "b", point -> 1000 * point.gap99())), 1);
        lines("time to the first token, s", List.of(new Series("50 %", "a", Timeline.Point::firstToken50),
                new Series("99 %", "b", Timeline.Point::firstToken99)), 0.1);
        timeAxis();
        return svg.append("</svg>\n").toString();
    }

    private static List<Series> memoryLayers() {
        String[] colours = {"a", "d", "b", "e", "f"};
        List<Series> layers = new ArrayList<>();
        for (int i = 0; i < colours.length; i++) {
            int part = i;
            layers.add(new Series(MemoryUse.NAMES.get(i), colours[i], point -> 100 * point.memory().parts()[part]));
        }
        return layers;
    }

    private void begin(Heading heading) {
        int height = TOP + 6 * (PANEL_HEIGHT + PANEL_GAP) + 10;
        append("""
                <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" font-family="system-ui, sans-serif" font-size="13" role="img">
                <title>%s</title>
                <style>
                %s  @media (prefers-color-scheme: dark) {
                %s  }
                </style>
                """, WIDTH, height, escaped(result.policy().name() + ": " + heading.model()),
                styles(LIGHT), styles(DARK));
        append("<rect class=\"paper\" width=\"%d\" height=\"%d\"/>%n", WIDTH, height);
        append("<text x=\"%d\" y=\"24\" font-size=\"16\" font-weight=\"600\">%s</text>%n", LEFT, escaped(result.policy().name()));
        append("<text x=\"%d\" y=\"42\" class=\"faint\">%s</text>%n", LEFT, escaped(heading.model()));
        append("<text x=\"%d\" y=\"58\" class=\"faint\">%s; %s</text>%n", LEFT, escaped(heading.traffic()), escaped(heading.bounds()));
    }

    private static String styles(List<String> colours) {
        var styles = new StringBuilder();
        styles.append(String.format(".paper { fill: %s } text { fill: %s } .faint { fill: %s } .grid { stroke: %s }%n",
                colours.get(0), colours.get(1), colours.get(2), colours.get(3)));
        for (int i = 0; i < 6; i++) {
            styles.append(String.format(".line.%1$c { fill: none; stroke: %2$s; stroke-width: 1.5; stroke-linecap: round } .area.%1$c { fill: %2$s }%n", 'a' + i,
                    colours.get(4 + i)));
        }
        return styles.toString();
    }

    private void lines(String title, List<Series> series, double leastTop) {
        double most = leastTop;
        for (Series each : series) {
            for (Timeline.Point point : points) {
                double value = each.value().applyAsDouble(point);
                most = Double.isNaN(value) ? most : Math.max(most, value);
            }
        }
        double top = frame(title, series, most);
        for (Series each : series) {
            var path = new StringBuilder();
            boolean pen = false;
            for (Timeline.Point point : points) {
                double value = each.value().applyAsDouble(point);
                if (!Double.isNaN(value)) {
                    // h0: a value without neighbours is a dot
                    path.append(pen ? "L" : "M").append(place(x(point.fromSeconds()), y(value, top))).append(pen ? "" : "h0");
                }
                pen = !Double.isNaN(value);
            }
            append("<path class=\"line %s\" d=\"%s\"/>%n", each.colour(), path);
        }
        panelTop += PANEL_HEIGHT + PANEL_GAP;
    }

    /// Layers one on top of the other.
    private void stack(String title, List<Series> layers) {
        double[] heights = new double[points.size()];
        double most = 1;
        for (int i = 0; i < heights.length; i++) {
            double sum = 0;
            for (Series layer : layers) {
                sum += layer.value().applyAsDouble(points.get(i));
            }
            most = Math.max(most, sum);
        }
        double top = frame(title, layers, title.endsWith("%") ? 100 : most);
        for (Series layer : layers) {
            var upper = new StringBuilder();
            var lower = new StringBuilder();
            for (int i = 0; i < heights.length; i++) {
                double below = heights[i];
                heights[i] += layer.value().applyAsDouble(points.get(i));
                double x = x(points.get(i).fromSeconds());
                upper.append(i == 0 ? 'M' : 'L').append(place(x, y(heights[i], top)));
                lower.insert(0, "L" + place(x, y(below, top)));
            }
            append("<path class=\"area %s\" d=\"%s%sZ\"/>%n", layer.colour(), upper, lower);
        }
        panelTop += PANEL_HEIGHT + PANEL_GAP;
    }

    /// Title, legend and grid of a panel.
    ///
    /// @return the value at its upper edge
    private double frame(String title, List<Series> series, double most) {
        double step = roundStep(most / 4);
        double top = Math.ceil(most / step - 1e-9) * step;
        append("<text x=\"%d\" y=\"%d\" font-weight=\"600\">%s</text>%n", LEFT, panelTop - 10, escaped(title));
        int x = LEFT + 210;
        for (Series each : series) {
            append("<rect class=\"area %s\" x=\"%d\" y=\"%d\" width=\"12\" height=\"12\" rx=\"2\"/>", each.colour(), x, panelTop - 20);
            append("<text x=\"%d\" y=\"%d\">%s</text>%n", x + 17, panelTop - 10, escaped(each.name()));
            x += 36 + 7 * each.name().length();
        }
        for (double value = 0; value <= top * (1 + 1e-9); value += step) {
            append("<line class=\"grid\" x1=\"%d\" x2=\"%d\" y1=\"%3$.1f\" y2=\"%3$.1f\"/>", LEFT, WIDTH - RIGHT, y(value, top));
            append("<text class=\"faint\" x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%s</text>%n", LEFT - 8, y(value, top) + 4,
                    number(value));
        }
        return top;
    }

    private void timeAxis() {
        double step = roundStep(seconds / 60 / 8);
        int y = panelTop - PANEL_GAP + 20;
        for (double minute = 0; minute <= seconds / 60 * (1 + 1e-9); minute += step) {
            append("<text class=\"faint\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%s</text>%n", x(60 * minute), y,
                    number(minute));
        }
        append("<text class=\"faint\" x=\"%d\" y=\"%d\" text-anchor=\"end\">minutes</text>%n", WIDTH - RIGHT, y + 16);
    }

    /// The next of 1, 2 and 5 times a power of ten.
    private static double roundStep(double least) {
        double power = Math.pow(10, Math.floor(Math.log10(Math.max(least, 1e-9))));
        for (int factor : new int[] {1, 2, 5}) {
            if (factor * power >= least * (1 - 1e-9)) {
                return factor * power;
            }
        }
        return 10 * power;
    }

    private double x(double atSeconds) {
        return LEFT + (WIDTH - LEFT - RIGHT) * atSeconds / seconds;
    }

    private double y(double value, double top) {
        return panelTop + PANEL_HEIGHT * (1 - value / top);
    }

    /// Without decimals that say nothing.
    private static String number(double value) {
        return String.format(Locale.ROOT, "%,.2f", value).replaceAll("\\.?0+$", "");
    }

    private static String place(double x, double y) {
        return String.format(Locale.ROOT, "%.1f %.1f", x, y);
    }

    private static String escaped(String text) {
        return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;");
    }

    private void append(String format, Object... values) {
        svg.append(String.format(Locale.ROOT, format, values));
    }
}
