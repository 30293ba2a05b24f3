package dev.sidewinder.server.api;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonFactoryBuilder;
import com.fasterxml.jackson.core.JsonLocation;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.SerializableString;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.math.BigInteger;

/// Reads request bodies: RFC 8259 to the letter, inside limits, with messages of our own.
///
/// Refused beyond what any parser refuses: duplicate keys, lone surrogates, byte order marks, anything but UTF-8,
/// numbers that no double can hold, and whatever exceeds [Limits]. One object per body. Safe for use by many threads.
public final class StrictJson {

    /// For reading and for writing. Names are not interned: clients choose them, so a shared table would grow.
    static final JsonFactory FACTORY = new JsonFactoryBuilder()
            .disable(JsonFactory.Feature.CANONICALIZE_FIELD_NAMES)
            .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
            // our own limits below come first, and their messages are ours
            .streamReadConstraints(StreamReadConstraints.builder().maxNestingDepth(1_000)
                    .maxStringLength(Integer.MAX_VALUE).maxNumberLength(Integer.MAX_VALUE)
                    .maxNameLength(Integer.MAX_VALUE).build())
            .rootValueSeparator((SerializableString) null)
            .build();

    /// @param depth       nesting of objects and arrays
    /// @param stringChars characters of one string
    /// @param numberChars characters of one number as it is spelled
    /// @param nameChars   characters of a field name
    /// @param values      values in one body: every one becomes an object on our heap
    public record Limits(int depth, int stringChars, int numberChars, int nameChars, int values) {
        public static final Limits DEFAULT = new Limits(64, 16 << 20, 32, 1_024, 4_000_000);
    }

    private final Limits limits;

    public StrictJson(Limits limits) {
        this.limits = limits;
    }

    /// Reads a body that must be one JSON object.
    ///
    /// @throws ApiException 400 `invalid_json`
    public ObjectNode readObject(byte[] body) {
        return readObject(body, "the request body");
    }

    /// Reads an object that arrived as text inside a request, for example the arguments of a tool call.
    ///
    /// @throws ApiException 400 `invalid_json`
    ObjectNode readObject(String text, String what) {
        try (JsonParser parser = FACTORY.createParser(text)) {
            return new Reading(parser, what).object();
        } catch (JsonProcessingException e) {
            throw notJson(what, e.getLocation());
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    private ObjectNode readObject(byte[] body, String what) {
        Utf8.check(body, what);
        try (JsonParser parser = FACTORY.createParser(body)) {
            return new Reading(parser, what).object();
        } catch (JsonProcessingException e) {
            throw notJson(what, e.getLocation());
        } catch (IOException impossible) {
            throw new UncheckedIOException(impossible);
        }
    }

    private static ApiException notJson(String what, JsonLocation at) {
        return ApiErrors.invalidJson("Reading " + what + ": this is no JSON at " + place(at) + ".");
    }

    private static String place(JsonLocation at) {
        return "line " + at.getLineNr() + ", column " + at.getColumnNr();
    }

    /// One pass over one text.
    private final class Reading {
        private final JsonParser parser;
        private final String what;
        private final JsonNodeFactory nodes = JsonNodeFactory.instance;
        private int values;

        Reading(JsonParser parser, String what) {
            this.parser = parser;
            this.what = what;
        }

        ObjectNode object() throws IOException {
            JsonToken first = parser.nextToken();
            if (first == null) {
                throw ApiErrors.invalidJson("Reading " + what + ": it is empty; send one JSON object.");
            }
            if (first != JsonToken.START_OBJECT) {
                throw ApiErrors.invalidJson("Reading " + what + ": it is not a JSON object.");
            }
            ObjectNode object = readObject(1);
            if (parser.nextToken() != null) {
                throw refuse("something follows the end of the object");
            }
            return object;
        }

        private ObjectNode readObject(int depth) throws IOException {
            checkDepth(depth);
            ObjectNode object = nodes.objectNode();
            while (parser.nextToken() != JsonToken.END_OBJECT) {
                String name = parser.currentName();
                if (name.length() > limits.nameChars()) {
                    throw refuse("a field name is longer than " + limits.nameChars() + " characters");
                }
                checkText(name);
                if (object.has(name)) {
                    throw refuse("the key '" + Printable.cut(name) + "' occurs twice in one object");
                }
                parser.nextToken();
                object.set(name, value(depth));
            }
            return object;
        }

        private ArrayNode readArray(int depth) throws IOException {
            checkDepth(depth);
            ArrayNode array = nodes.arrayNode();
            while (parser.nextToken() != JsonToken.END_ARRAY) {
                array.add(value(depth));
            }
            return array;
        }

        private JsonNode value(int depth) throws IOException {
            if (++values > limits.values()) {
                throw refuse("there are more than " + limits.values() + " values");
            }
            return switch (parser.currentToken()) {
                case START_OBJECT -> readObject(depth + 1);
                case START_ARRAY -> readArray(depth + 1);
                case VALUE_STRING -> nodes.textNode(text());
                case VALUE_NUMBER_INT -> integer();
                case VALUE_NUMBER_FLOAT -> decimal();
                case VALUE_TRUE -> nodes.booleanNode(true);
                case VALUE_FALSE -> nodes.booleanNode(false);
                case VALUE_NULL -> nodes.nullNode();
                case NOT_AVAILABLE, END_OBJECT, END_ARRAY, FIELD_NAME, VALUE_EMBEDDED_OBJECT ->
                    throw new IllegalStateException("a JSON value cannot start with " + parser.currentToken());
            };
        }

        private String text() throws IOException {
            String text = parser.getText();
            if (text.length() > limits.stringChars()) {
                throw refuse("a string is longer than " + limits.stringChars() + " characters");
            }
            checkText(text);
            return text;
        }

        private JsonNode integer() throws IOException {
            checkNumber();
            String digits = parser.getText();
            // 18 characters always fit a long
            return digits.length() <= 18 ? integer(Long.parseLong(digits)) : nodes.numberNode(new BigInteger(digits));
        }

        private JsonNode integer(long value) {
            return value == (int) value ? nodes.numberNode((int) value) : nodes.numberNode(value);
        }

        private JsonNode decimal() throws IOException {
            checkNumber();
            double value = Double.parseDouble(parser.getText());
            if (Double.isInfinite(value)) {
                throw refuse("a number is too large");
            }
            return nodes.numberNode(value);
        }

        private void checkNumber() throws IOException {
            if (parser.getTextLength() > limits.numberChars()) {
                throw refuse("a number is longer than " + limits.numberChars() + " characters");
            }
        }

        private void checkDepth(int depth) {
            if (depth > limits.depth()) {
                throw refuse("objects and arrays are nested deeper than " + limits.depth());
            }
        }

        /// The bytes were UTF-8, so a lone surrogate can only have been spelled `\ud800`.
        private void checkText(String text) {
            for (int i = 0; i < text.length(); i++) {
                if (Character.isSurrogate(text.charAt(i))) {
                    boolean pair = Character.isHighSurrogate(text.charAt(i)) && i + 1 < text.length()
                            && Character.isLowSurrogate(text.charAt(i + 1));
                    if (!pair) {
                        throw refuse("a string holds half of a surrogate pair, which is no character");
                    }
                    i++;
                }
            }
        }

        private ApiException refuse(String found) {
            return ApiErrors.invalidJson("Reading " + what + ": " + found + ", at " + place(parser.currentLocation()) + ".");
        }
    }
}
