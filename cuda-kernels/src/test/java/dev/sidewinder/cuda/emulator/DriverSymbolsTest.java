package dev.sidewinder.cuda.emulator;

import static org.assertj.core.api.Assertions.assertThat;

import java.io.IOException;
import java.io.InputStream;
import java.lang.foreign.Arena;
import java.lang.foreign.SymbolLookup;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import jcuda.driver.JCudaDriver;
import org.junit.jupiter.api.Test;

/// The emulated driver has every function that JCuda's native library imports: one that is missing when JCuda calls it
/// ends the process without a word.
class DriverSymbolsTest {

    private static final int DYNAMIC_SYMBOLS = 11;
    private static final int SYMBOL_BYTES = 24;
    private static final int CUDA_ERROR_NOT_SUPPORTED = 801;

    @Test
    void everyFunctionThatJcudaImportsIsThere() throws IOException {
        List<String> imported = imports("/lib/libJCudaDriver-" + jcudaVersion() + "-linux-x86_64.so");
        SymbolLookup driver = SymbolLookup.libraryLookup(EmulatorLibrary.get().path(), Arena.global());

        assertThat(imported).hasSizeGreaterThan(300).contains("cuInit", "cuLaunchKernel");
        assertThat(imported).allSatisfy(name -> assertThat(driver.find(name)).as(name).isPresent());
    }

    @Test
    void whatIsNotEmulatedFailsByName() {
        try (Emulator emulator = Emulator.open(1)) {
            assertThat(emulator.device().openThings()).isZero();
            assertThat(JCudaDriver.cuCtxGetLimit(new long[1], 0)).isEqualTo(CUDA_ERROR_NOT_SUPPORTED);
            assertThat(EmulatorLibrary.get().report()).isEqualTo("cuCtxGetLimit is not emulated");
        }
    }

    /// From the name of its jar.
    private static String jcudaVersion() {
        String jar = JCudaDriver.class.getProtectionDomain().getCodeSource().getLocation().getPath();
        return jar.replaceFirst(".*/jcuda-(.*)\\.jar", "$1");
    }

    /// The undefined `cu` functions in the dynamic symbol table of an ELF file for 64-bit machines.
    private static List<String> imports(String resource) throws IOException {
        ByteBuffer file;
        try (InputStream library = JCudaDriver.class.getResourceAsStream(resource)) {
            assertThat(library).as(resource).isNotNull();
            file = ByteBuffer.wrap(library.readAllBytes()).order(ByteOrder.LITTLE_ENDIAN);
        }
        long sections = file.getLong(0x28);
        int sectionBytes = file.getShort(0x3a);
        int count = file.getShort(0x3c);
        List<String> names = new ArrayList<>();
        for (int i = 0; i < count; i++) {
            int section = Math.toIntExact(sections + (long) i * sectionBytes);
            if (file.getInt(section + 4) == DYNAMIC_SYMBOLS) {
                int symbols = Math.toIntExact(file.getLong(section + 0x18));
                int bytes = Math.toIntExact(file.getLong(section + 0x20));
                int texts = Math.toIntExact(sections + (long) file.getInt(section + 0x28) * sectionBytes);
                int text = Math.toIntExact(file.getLong(texts + 0x18));
                for (int symbol = symbols; symbol < symbols + bytes; symbol += SYMBOL_BYTES) {
                    String name = text(file, text + file.getInt(symbol));
                    if (file.getShort(symbol + 6) == 0 && name.matches("cu[A-Z]\\w+")) {
                        names.add(name);
                    }
                }
            }
        }
        return names;
    }

    private static String text(ByteBuffer file, int at) {
        int end = at;
        while (file.get(end) != 0) {
            end++;
        }
        return new String(file.array(), at, end - at, StandardCharsets.US_ASCII);
    }
}
