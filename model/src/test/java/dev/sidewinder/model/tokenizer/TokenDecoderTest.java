package dev.sidewinder.model.tokenizer;

import static org.assertj.core.api.Assertions.assertThat;

import ai.djl.huggingface.tokenizers.jni.TokenizersLibrary;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class TokenDecoderTest {
    private static final long SEED = 7;
    private static final int FIRST_BYTE_TOKEN = 32;

    @TempDir
    Path folder;

    @Test
    void neverSplitsACharacter() {
        try (Tokenizer tokenizer = TokenizerFiles.openDemo(folder)) {
            // given an emoji as its four bytes
            TokenDecoder decoder = tokenizer.decoder(false);

            // then nothing comes before the last
            assertThat(decoder.accept(FIRST_BYTE_TOKEN + 0xF0)).isEmpty();
            assertThat(decoder.accept(FIRST_BYTE_TOKEN + 0x9F)).isEmpty();
            assertThat(decoder.accept(FIRST_BYTE_TOKEN + 0x98)).isEmpty();
            assertThat(decoder.accept(FIRST_BYTE_TOKEN + 0x80)).isEqualTo("\uD83D\uDE00");
            assertThat(decoder.finish()).isEmpty();
        }
    }

    @Test
    void endsAnIncompleteCharacterAsOneReplacement() {
        try (Tokenizer tokenizer = TokenizerFiles.openDemo(folder)) {
            TokenDecoder decoder = tokenizer.decoder(false);
            decoder.accept(FIRST_BYTE_TOKEN + 0xF0);
            decoder.accept(FIRST_BYTE_TOKEN + 0x9F);

            // when an ordinary token or a special one comes instead of the rest
            assertThat(decoder.accept(FIRST_BYTE_TOKEN + 'a')).isEqualTo("\uFFFDa");
            decoder.accept(FIRST_BYTE_TOKEN + 0xE2);
            assertThat(decoder.accept(11)).isEqualTo("\uFFFD<|im_end|>");

            // when the stream ends
            decoder.accept(FIRST_BYTE_TOKEN + 0xE2);
            assertThat(decoder.finish()).isEqualTo("\uFFFD");
            assertThat(decoder.finish()).isEmpty();
        }
    }

    @Test
    void replacesInvalidBytesByMaximalParts() {
        // source: Unicode 15, tables 3-8 to 3-11
        assertThat(decode(0xC0, 0xAF, 0xE0, 0x80, 0xBF, 0xF0, 0x81, 0x82, 0x41)).isEqualTo("\uFFFD".repeat(8) + "A");
        assertThat(decode(0xED, 0xA0, 0x80, 0xED, 0xBF, 0xBF, 0xED, 0xAF, 0x41)).isEqualTo("\uFFFD".repeat(8) + "A");
        assertThat(decode(0xF4, 0x91, 0x92, 0x93, 0xFF, 0x41, 0x80, 0xBF, 0x42))
                .isEqualTo("\uFFFD".repeat(5) + "A\uFFFD\uFFFDB");
        assertThat(decode(0xE1, 0x80, 0xE2, 0xF0, 0x91, 0x92, 0xF1, 0xBF, 0x41)).isEqualTo("\uFFFD".repeat(4) + "A");
        assertThat(decode(0xF4, 0x8F, 0xBF, 0xBF, 0xE0, 0xA0, 0x80, 0xC2, 0x80)).isEqualTo("\uDBFF\uDFFF\u0800\u0080");
    }

    private static String decode(int... values) {
        var decoder = new Utf8Decoder();
        var text = new StringBuilder();
        for (int value : values) {
            decoder.accept(new byte[] {(byte) value}, text);
        }
        decoder.finish(text);
        return text.toString();
    }

    @Test
    void pieceByPieceEqualsTheWholeAndTheLibrary() {
        try (Tokenizer tokenizer = TokenizerFiles.openDemo(folder)) {
            TokenizersLibrary library = NativeLibrary.get();
            long handle = library.createTokenizerFromString(TokenizerFiles.demo().toString());
            Random random = new Random(SEED);
            for (int round = 0; round < 3_000; round++) {
                int[] ids = randomIds(random);
                boolean skip = random.nextBoolean();

                TokenDecoder decoder = tokenizer.decoder(skip);
                var pieces = new StringBuilder();
                for (int id : ids) {
                    String piece = decoder.accept(id);
                    assertThat(endsInsideACharacter(piece)).isFalse();
                    pieces.append(piece);
                }
                pieces.append(decoder.finish());

                String whole = tokenizer.decode(ids, skip);
                assertThat(pieces.toString()).as("seed %d, round %d", SEED, round).isEqualTo(whole);
                assertThat(whole).as("seed %d, round %d, ids %s", SEED, round, Arrays.toString(ids))
                        .isEqualTo(library.decode(handle, Arrays.stream(ids).asLongStream().toArray(), skip));
            }
            library.deleteTokenizer(handle);
        }
    }

    private static boolean endsInsideACharacter(String piece) {
        return !piece.isEmpty() && Character.isHighSurrogate(piece.charAt(piece.length() - 1));
    }

    /// Bytes that begin, continue and break characters, among ordinary and special tokens.
    private static int[] randomIds(Random random) {
        int[][] sequences = {{0xF0, 0x9F, 0x98, 0x80}, {0xE2, 0x82, 0xAC}, {0xC3, 0xA9}, {0xED, 0xA0, 0x80},
            {0xC0, 0x80}, {0xF4, 0x90, 0x80, 0x80}, {0xE0, 0x80}, {0xF0, 0x80}, {0x80}, {0xFF}, {0xEF, 0xBF, 0xBD}};
        int[] ids = new int[1 + random.nextInt(24)];
        for (int i = 0; i < ids.length; ) {
            switch (random.nextInt(4)) {
                case 0 -> ids[i++] = random.nextInt(512);
                case 1 -> ids[i++] = FIRST_BYTE_TOKEN + 0x80 + random.nextInt(0x80);
                default -> {
                    int[] sequence = sequences[random.nextInt(sequences.length)];
                    int length = random.nextInt(3) == 0 ? 1 + random.nextInt(sequence.length) : sequence.length;
                    for (int j = 0; j < length && i < ids.length; j++) {
                        ids[i++] = FIRST_BYTE_TOKEN + sequence[j];
                    }
                }
            }
        }
        return ids;
    }

    @Test
    void givesBackTheSameStringForAWholeToken() {
        // a decode step must not allocate where nothing is split
        try (Tokenizer tokenizer = TokenizerFiles.openDemo(folder)) {
            int the = tokenizer.idOf("Ġthe").getAsInt();
            TokenDecoder decoder = tokenizer.decoder(false);
            assertThat(decoder.accept(the)).isSameAs(decoder.accept(the)).isEqualTo(" the");
        }
    }
}
