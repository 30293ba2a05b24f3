package dev.sidewinder.model.chat;

import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.io.JsonStringEncoder;
import com.fasterxml.jackson.databind.DeserializationFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.cfg.JsonNodeFeature;
import com.fasterxml.jackson.databind.json.JsonMapper;
import java.math.BigDecimal;
import java.util.Optional;

/// Turns the text of a tool call's value into JSON, by the type of its parameter.
final class ArgumentConverter {
    /// Longest number that is computed with rather than copied.
    private static final int LONGEST_EXPONENT_FORM = 64;
    /// Largest number of digits written out for a number with an exponent.
    private static final int LARGEST_SCALE = 400;

    private static final JsonMapper JSON = JsonMapper.builder()
            .enable(DeserializationFeature.FAIL_ON_TRAILING_TOKENS)
            .enable(DeserializationFeature.USE_BIG_DECIMAL_FOR_FLOATS)
            .disable(JsonNodeFeature.STRIP_TRAILING_BIGDECIMAL_ZEROES)
            .build();

    private ArgumentConverter() {}

    /// JSON text of the value as the first alternative that takes it; empty when none does.
    static Optional<String> convert(String raw, ArgumentType type) {
        if (type.nullable() && isNull(raw.strip())) {
            return Optional.of("null");
        }
        boolean only = type.alternatives().size() == 1;
        for (ArgumentType.Kind kind : type.alternatives()) {
            Optional<String> json = convert(raw, kind, only);
            if (json.isPresent()) {
                return json;
            }
        }
        return Optional.empty();
    }

    /// The format's history writes null as Python does.
    static boolean isNull(String text) {
        return text.equals("null") || text.equals("None");
    }

    static String quoted(CharSequence text) {
        var quoted = new StringBuilder("\"");
        JsonStringEncoder.getInstance().quoteAsString(text, quoted);
        return quoted.append('"').toString();
    }

    private static Optional<String> convert(String raw, ArgumentType.Kind kind, boolean only) {
        return switch (kind) {
            case STRING -> Optional.of(quoted(raw));
            case INTEGER -> integer(raw.strip());
            case NUMBER -> number(raw.strip());
            case BOOLEAN -> bool(raw.strip(), only);
            case OBJECT -> tree(raw).filter(JsonNode::isObject).map(JsonNode::toString);
            case ARRAY -> tree(raw).filter(JsonNode::isArray).map(JsonNode::toString);
            case NULL -> Optional.empty();
        };
    }

    /// Alone, everything that is not `true` is `false`; beside others a text must be one of the two to be meant.
    private static Optional<String> bool(String text, boolean only) {
        if (text.equalsIgnoreCase("true")) {
            return Optional.of("true");
        }
        return only || text.equalsIgnoreCase("false") ? Optional.of("false") : Optional.empty();
    }

    private static Optional<String> integer(String text) {
        NumberText number = NumberText.of(text);
        if (number == null) {
            return Optional.empty();
        }
        if (number.exponent().isEmpty()) {
            boolean whole = number.fraction().chars().allMatch(digit -> digit == '0');
            return whole ? Optional.of(number.sign() + number.whole()) : Optional.empty();
        }
        if (text.length() > LONGEST_EXPONENT_FORM) {
            return Optional.empty();
        }
        try {
            BigDecimal value = new BigDecimal(number.json());
            if (Math.abs((long) value.scale()) > LARGEST_SCALE) {
                return Optional.empty();
            }
            return Optional.of(value.toBigIntegerExact().toString());
        } catch (ArithmeticException | NumberFormatException e) {
            return Optional.empty();
        }
    }

    private static Optional<String> number(String text) {
        NumberText number = NumberText.of(text);
        return number == null ? Optional.empty() : Optional.of(number.json());
    }

    private static Optional<JsonNode> tree(String raw) {
        try {
            return Optional.of(JSON.readTree(raw));
        } catch (JsonProcessingException e) {
            return PythonLiteral.parse(raw);
        }
    }

    /// The parts of a decimal number in any usual spelling (`+1`, `.5`, `5.`, `007`).
    ///
    /// @param sign     `-` or empty
    /// @param whole    digits without leading zeros, at least one
    /// @param fraction digits, may be empty
    /// @param exponent with its sign, without the letter; may be empty
    private record NumberText(String sign, String whole, String fraction, String exponent) {

        /// Null when the text is no number.
        static NumberText of(String text) {
            int at = 0;
            int end = text.length();
            String sign = text.startsWith("-") ? "-" : "";
            if (text.startsWith("-") || text.startsWith("+")) {
                at++;
            }
            int wholeEnd = digitsEnd(text, at);
            int fractionFrom = wholeEnd < end && text.charAt(wholeEnd) == '.' ? wholeEnd + 1 : wholeEnd;
            int fractionEnd = fractionFrom > wholeEnd ? digitsEnd(text, fractionFrom) : wholeEnd;
            if (wholeEnd == at && fractionEnd == fractionFrom) {
                return null;
            }
            String exponent = "";
            if (fractionEnd < end && (text.charAt(fractionEnd) == 'e' || text.charAt(fractionEnd) == 'E')) {
                int digits = fractionEnd + 1;
                if (digits < end && (text.charAt(digits) == '-' || text.charAt(digits) == '+')) {
                    digits++;
                }
                if (digits == end || digitsEnd(text, digits) != end) {
                    return null;
                }
                exponent = text.substring(fractionEnd + 1);
            } else if (fractionEnd != end) {
                return null;
            }
            int first = at;
            while (first < wholeEnd - 1 && text.charAt(first) == '0') {
                first++;
            }
            String whole = first == wholeEnd ? "0" : text.substring(first, wholeEnd);
            return new NumberText(sign, whole, text.substring(fractionFrom, fractionEnd), exponent);
        }

        private static int digitsEnd(String text, int from) {
            int at = from;
            while (at < text.length() && text.charAt(at) >= '0' && text.charAt(at) <= '9') {
                at++;
            }
            return at;
        }

        String json() {
            return sign + whole + (fraction.isEmpty() ? "" : "." + fraction) + (exponent.isEmpty() ? "" : "e" + exponent);
        }
    }
}
