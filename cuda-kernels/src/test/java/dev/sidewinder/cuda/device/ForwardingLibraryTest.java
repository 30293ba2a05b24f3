package dev.sidewinder.cuda.device;

import static java.lang.foreign.ValueLayout.ADDRESS;
import static java.lang.foreign.ValueLayout.JAVA_DOUBLE;
import static java.lang.foreign.ValueLayout.JAVA_INT;
import static java.lang.foreign.ValueLayout.JAVA_LONG;
import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeTrue;

import java.lang.foreign.Arena;
import java.lang.foreign.FunctionDescriptor;
import java.lang.foreign.Linker;
import java.lang.foreign.SymbolLookup;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.Map;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

class ForwardingLibraryTest {

    private static final Linker LINKER = Linker.nativeLinker();

    @TempDir
    Path folder;

    @BeforeEach
    void needsLinuxOnX86() {
        assumeTrue(System.getProperty("os.name").equals("Linux") && System.getProperty("os.arch").equals("amd64"),
                "libraries are made for Linux on x86-64");
    }

    @Test
    void callsArriveAtTheirTargetsWithAllArguments() throws Throwable {
        // given a library that offers three functions of the C library under other names
        SymbolLookup library = load("libforwarded.so.1", Map.of(
                "other_abs", address("abs"), "other_strlen", address("strlen"), "other_ldexp", address("ldexp")));

        // when they are called by those names, then they do what the originals do
        try (Arena arena = Arena.ofConfined()) {
            assertThat((int) LINKER.downcallHandle(library.findOrThrow("other_abs"),
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT)).invokeExact(-42)).isEqualTo(42);
            assertThat((long) LINKER.downcallHandle(library.findOrThrow("other_strlen"),
                    FunctionDescriptor.of(JAVA_LONG, ADDRESS)).invokeExact(arena.allocateFrom("twelve bytes"))).isEqualTo(12);
            assertThat((double) LINKER.downcallHandle(library.findOrThrow("other_ldexp"),
                    FunctionDescriptor.of(JAVA_DOUBLE, JAVA_DOUBLE, JAVA_INT)).invokeExact(0.75, 4)).isEqualTo(12.0);
        }
        assertThat(library.find("abs_other")).isEmpty();
    }

    @Test
    void hasEveryNameOfALongList() throws Throwable {
        // more names than fit the first page: code and dynamic section move up
        Map<String, Long> targets = new LinkedHashMap<>();
        for (int i = 0; i < 500; i++) {
            targets.put("a_rather_long_name_of_a_function_" + i, address("abs"));
        }
        SymbolLookup library = load("libmany.so.1", targets);
        for (String name : targets.keySet()) {
            assertThat((int) LINKER.downcallHandle(library.findOrThrow(name),
                    FunctionDescriptor.of(JAVA_INT, JAVA_INT)).invokeExact(-7)).as(name).isEqualTo(7);
        }
    }

    @Test
    void isFoundByItsNameOnceLoaded() throws Exception {
        // given a library whose file has another name than itself
        Path file = Files.write(folder.resolve("file"), ForwardingLibrary.of("libfound_by_name.so.7",
                new HashMap<>(Map.of("other_abs", address("abs")))));
        SymbolLookup.libraryLookup(file, Arena.global());
        Files.delete(file);

        // then the dynamic linker knows it by the name it gives itself
        assertThat(SymbolLookup.libraryLookup("libfound_by_name.so.7", Arena.global()).find("other_abs")).isPresent();
    }

    private SymbolLookup load(String soname, Map<String, Long> targets) throws Exception {
        Path file = Files.write(folder.resolve(soname), ForwardingLibrary.of(soname, targets));
        return SymbolLookup.libraryLookup(file, Arena.global());
    }

    private static long address(String name) {
        return LINKER.defaultLookup().findOrThrow(name).address();
    }
}
