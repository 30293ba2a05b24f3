package dev.sidewinder.model.checkpoint;

/// NVFP4 rows: blocks of 16 columns, each with an E4M3 scale; two E2M1 codes per byte, the even column in the low
/// nibble; one float scale for the whole matrix.
///
/// `value = e2m1(code) x blockScale x globalScale`. The first product is exact in a float, so the value is rounded once.
public final class Nvfp4 {

    /// Columns that share a scale.
    public static final int BLOCK = 16;

    private static final float[] CODES = E2m1.table();
    private static final float[] SCALES = E4m3.table();

    private Nvfp4() {}

    /// The global scale under which a matrix with this largest magnitude uses the whole range of both codes.
    public static float globalScale(float largest) {
        return largest / (E2m1.MAX * E4m3.MAX);
    }

    /// Decodes one row.
    ///
    /// @param codes  `columns / 2` bytes
    /// @param scales `columns / 16` codes; NaN codes make NaN values
    static void decodeRow(byte[] codes, byte[] scales, float globalScale, int columns, float[] into, int at) {
        for (int block = 0; block < columns / BLOCK; block++) {
            float scale = SCALES[scales[block] & 0xFF];
            int first = block * BLOCK;
            for (int j = 0; j < BLOCK / 2; j++) {
                int pair = codes[first / 2 + j];
                into[at + first + 2 * j] = CODES[pair & 15] * scale * globalScale;
                into[at + first + 2 * j + 1] = CODES[pair >> 4 & 15] * scale * globalScale;
            }
        }
    }

    /// The scale of the block `row[from, from + 16)`: the one that maps its largest magnitude to 6.
    public static byte encodeScale(float[] row, int from, float globalScale) {
        float largest = 0;
        for (int i = 0; i < BLOCK; i++) {
            float magnitude = Math.abs(row[from + i]);
            largest = magnitude > largest ? magnitude : largest;
        }
        return globalScale == 0 ? 0 : E4m3.encode(largest / E2m1.MAX / globalScale);
    }

    /// Encodes the block `row[from, from + 16)` under its scale into 8 bytes.
    public static void encodeBlock(float[] row, int from, byte scale, float globalScale, byte[] codes, int at) {
        float step = E4m3.decode(scale) * globalScale;
        float inverse = step == 0 ? 0 : 1 / step;
        for (int j = 0; j < BLOCK / 2; j++) {
            int low = E2m1.encode(row[from + 2 * j] * inverse);
            int high = E2m1.encode(row[from + 2 * j + 1] * inverse);
            codes[at + j] = (byte) (high << 4 | low);
        }
    }
}
