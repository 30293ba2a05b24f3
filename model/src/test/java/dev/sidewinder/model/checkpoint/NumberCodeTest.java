package dev.sidewinder.model.checkpoint;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.Random;
import org.junit.jupiter.api.Test;

/// The codes of the small number formats, by their definitions and by exhaustive comparison.
class NumberCodeTest {

    @Test
    void decodesEveryE4m3CodeByItsDefinition() {
        int nan = 0;
        for (int code = 0; code < 256; code++) {
            float value = E4m3.decode((byte) code);
            int exponent = code >> 3 & 15;
            int mantissa = code & 7;
            if (exponent == 15 && mantissa == 7) {
                assertThat(value).as("code %02x", code).isNaN();
                assertThat(E4m3.isNaN((byte) code)).isTrue();
                nan++;
                continue;
            }
            double magnitude = exponent == 0 ? mantissa / 8.0 * Math.pow(2, -6)
                    : (1 + mantissa / 8.0) * Math.pow(2, exponent - 7);
            assertThat((double) value).as("code %02x", code).isEqualTo(code < 128 ? magnitude : -magnitude);
            assertThat(E4m3.isNaN((byte) code)).isFalse();
        }
        assertThat(nan).isEqualTo(2);
        assertThat(E4m3.decode((byte) 0x7E)).isEqualTo(448f);
        assertThat(E4m3.decode((byte) 0x08)).isEqualTo(0.015625f);
        assertThat(E4m3.decode((byte) 0x01)).isEqualTo(0.001953125f);
    }

    @Test
    void encodesEveryE4m3ValueToItsOwnCode() {
        for (int code = 0; code < 256; code++) {
            assertThat(E4m3.encode(E4m3.decode((byte) code)) & 0xFF).isEqualTo(code);
        }
    }

    @Test
    void roundsToTheNearestE4m3CodeAndTiesToTheEvenOne() {
        // given every pair of neighbouring codes
        for (int code = 0; code < 0x7E; code++) {
            float low = E4m3.decode((byte) code);
            float high = E4m3.decode((byte) (code + 1));
            float middle = (low + high) / 2;

            // then the middle goes to the even code, and a hair to each side goes to that side
            assertThat((int) E4m3.encode(middle)).isEqualTo(code % 2 == 0 ? code : code + 1);
            assertThat((int) E4m3.encode(Math.nextDown(middle))).isEqualTo(code);
            assertThat((int) E4m3.encode(Math.nextUp(middle))).isEqualTo(code + 1);
            assertThat(E4m3.encode(-Math.nextUp(middle)) & 0xFF).isEqualTo(code + 1 | 0x80);
        }
    }

    @Test
    void saturatesE4m3InsteadOfMakingNaN() {
        for (float big : new float[] {448, 449, 464, 465, 1e9f, Float.MAX_VALUE, Float.POSITIVE_INFINITY}) {
            assertThat((int) E4m3.encode(big)).isEqualTo(0x7E);
            assertThat(E4m3.encode(-big) & 0xFF).isEqualTo(0xFE);
        }
        assertThat(E4m3.isNaN(E4m3.encode(Float.NaN))).isTrue();
        assertThat((int) E4m3.encode(Float.MIN_VALUE)).isZero();
    }

    @Test
    void decodesEveryE2m1Code() {
        float[] positive = {0, 0.5f, 1, 1.5f, 2, 3, 4, 6};
        for (int code = 0; code < 8; code++) {
            assertThat(E2m1.decode(code)).isEqualTo(positive[code]);
            assertThat(E2m1.decode(code + 8)).isEqualTo(-positive[code]);
        }
    }

    @Test
    void roundsToTheNearestE2m1CodeAndTiesToTheEvenOne() {
        for (int code = 0; code < 7; code++) {
            float middle = (E2m1.decode(code) + E2m1.decode(code + 1)) / 2;
            assertThat(E2m1.encode(middle)).as("middle %s", middle).isEqualTo(code % 2 == 0 ? code : code + 1);
            assertThat(E2m1.encode(Math.nextDown(middle))).isEqualTo(code);
            assertThat(E2m1.encode(Math.nextUp(middle))).isEqualTo(code + 1);
            assertThat(E2m1.encode(-middle)).isEqualTo(E2m1.encode(middle) | 8);
        }
        assertThat(E2m1.encode(1e9f)).isEqualTo(7);
        assertThat(E2m1.encode(Float.NEGATIVE_INFINITY)).isEqualTo(15);
    }

    @Test
    void roundsBf16LikeALongDivisionWould() {
        long seed = 20260101;
        var random = new Random(seed);
        for (int i = 0; i < 100_000; i++) {
            float value = Float.intBitsToFloat(random.nextInt());
            float decoded = Bf16.decode(Bf16.encode(value));
            if (Float.isNaN(value)) {
                assertThat(decoded).isNaN();
                continue;
            }
            float below = Float.intBitsToFloat(Float.floatToRawIntBits(value) & 0xFFFF_0000);
            float above = Float.intBitsToFloat((Float.floatToRawIntBits(value) & 0xFFFF_0000) + 0x1_0000);
            double toBelow = Math.abs((double) value - below);
            double toAbove = Float.isInfinite(above) ? Math.abs(Math.scalb(1.0, 128) - Math.abs((double) value))
                    : Math.abs((double) value - above);
            boolean evenBelow = (Float.floatToRawIntBits(below) >> 16 & 1) == 0;
            float expected = toBelow < toAbove || toBelow == toAbove && evenBelow ? below : above;
            assertThat(decoded).as("seed %d, value %s", seed, value).isEqualTo(expected);
        }
    }
}
