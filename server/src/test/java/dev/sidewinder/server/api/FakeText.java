package dev.sidewinder.server.api;

import dev.sidewinder.model.tokenizer.ControlTokens;
import dev.sidewinder.model.tokenizer.TextRun;
import dev.sidewinder.model.tokenizer.TokenDecoder;
import java.nio.ByteBuffer;
import java.nio.CharBuffer;
import java.nio.charset.CharsetDecoder;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.io.ByteArrayOutputStream;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.OptionalInt;
import java.util.TreeMap;

/// A tokenizer small enough to reckon with: one token per byte, the control tokens of the chat format, a few words.
public final class FakeText implements ModelText {

    public static final int VOCAB_SIZE = 400;
    public static final int END_OF_TEXT = 2;
    public static final int TURN_END = 11;
    public static final int THINK = 12;
    public static final int THINK_END = 13;
    public static final int TOOL_CALL = 14;
    public static final int TOOL_CALL_END = 15;
    private static final int FIRST_BYTE = 16;
    private static final int FIRST_WORD = 300;
    /// Words whose borders cut tags and stop strings in awkward places.
    public static final List<String> WORDS = List.of("hello", " world", "<function=", "get_weather", ">\n<parameter=",
            "city>\n", "\n</parameter>\n", "</function>", "\n", "STOP", "ST", "OP", "é", "😀", "</think>", "a\nb");

    private static final Map<String, Integer> CONTROL = new TreeMap<>(Map.of("</s>", END_OF_TEXT, "<|im_start|>", 10,
            "<|im_end|>", TURN_END, "<think>", THINK, "</think>", THINK_END, "<tool_call>", TOOL_CALL, "</tool_call>",
            TOOL_CALL_END));

    /// The control tokens as a parser wants them.
    public static ControlTokens control() {
        return new ControlTokens(OptionalInt.of(10), OptionalInt.of(TURN_END), OptionalInt.of(THINK),
                OptionalInt.of(THINK_END), OptionalInt.of(TOOL_CALL), OptionalInt.of(TOOL_CALL_END), OptionalInt.empty(),
                OptionalInt.empty());
    }

    /// The token of one byte.
    public static int byteToken(int value) {
        return FIRST_BYTE + (value & 0xFF);
    }

    /// The token of a word in [#WORDS].
    public static int word(String word) {
        return FIRST_WORD + WORDS.indexOf(word);
    }

    @Override
    public int[] encode(String text, boolean addSpecialTokens) {
        return encode(List.of(new TextRun(text, true)));
    }

    @Override
    public int[] encode(List<TextRun> runs) {
        List<Integer> ids = new ArrayList<>();
        for (TextRun run : runs) {
            String rest = run.text();
            while (!rest.isEmpty()) {
                String control = run.fromTemplate() ? control(rest) : null;
                if (control != null) {
                    ids.add(CONTROL.get(control));
                    rest = rest.substring(control.length());
                } else {
                    int end = rest.offsetByCodePoints(0, 1);
                    for (byte b : rest.substring(0, end).getBytes(StandardCharsets.UTF_8)) {
                        ids.add(byteToken(b));
                    }
                    rest = rest.substring(end);
                }
            }
        }
        return ids.stream().mapToInt(Integer::intValue).toArray();
    }

    private static String control(String text) {
        return CONTROL.keySet().stream().filter(text::startsWith).findFirst().orElse(null);
    }

    @Override
    public String decode(int[] ids, boolean skipSpecialTokens) {
        TokenDecoder decoder = decoder(skipSpecialTokens);
        var text = new StringBuilder();
        for (int id : ids) {
            text.append(decoder.accept(id));
        }
        return text.append(decoder.finish()).toString();
    }

    @Override
    public byte[] bytes(int id) {
        if (id >= FIRST_BYTE && id < FIRST_BYTE + 256) {
            return new byte[] {(byte) (id - FIRST_BYTE)};
        }
        return spelling(id).getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public String spelling(int id) {
        if (id >= FIRST_WORD && id < FIRST_WORD + WORDS.size()) {
            return WORDS.get(id - FIRST_WORD);
        }
        return CONTROL.entrySet().stream().filter(entry -> entry.getValue() == id).map(Map.Entry::getKey).findFirst()
                .orElse("<" + id + ">");
    }

    @Override
    public TokenDecoder decoder(boolean skipSpecialTokens) {
        return new Decoder(skipSpecialTokens);
    }

    private final class Decoder implements TokenDecoder {
        private final boolean skipSpecialTokens;
        private final ByteArrayOutputStream pending = new ByteArrayOutputStream();

        Decoder(boolean skipSpecialTokens) {
            this.skipSpecialTokens = skipSpecialTokens;
        }

        @Override
        public String accept(int token) {
            if (skipSpecialTokens && CONTROL.containsValue(token)) {
                return "";
            }
            pending.writeBytes(bytes(token));
            return decode(false);
        }

        @Override
        public String finish() {
            return decode(true);
        }

        private String decode(boolean end) {
            CharsetDecoder decoder = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPLACE);
            ByteBuffer bytes = ByteBuffer.wrap(pending.toByteArray());
            CharBuffer chars = CharBuffer.allocate(bytes.remaining() + 4);
            decoder.decode(bytes, chars, end);
            if (end) {
                decoder.flush(chars);
            }
            pending.reset();
            pending.write(bytes.array(), bytes.position(), bytes.remaining());
            return chars.flip().toString();
        }
    }
}
