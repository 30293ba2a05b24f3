package dev.sidewinder.cuda.device;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/// Makes a shared library of a given name whose functions jump to given addresses of this process.
///
/// JCublas is linked to `libcublas.so.12`; where only CUDA 13's is installed, a library of the old name must stand in front
/// of the new one. Addresses are known when it is made, so it needs no compiler, no relocation and no start-up code: a file
/// of two pages, good for this process alone.
///
/// Its symbols have a version of the library's own name, as those of cuBLAS do: the dynamic linker of glibc stops the process
/// when it looks for a version in a library of that name that has none.
///
/// Source: System V ABI, Object Files (ELF), and its AMD64 supplement, §5; Linux Standard Base Core 5.0, §10.7 (versions).
final class ForwardingLibrary {

    private static final int PAGE = 4096;
    private static final int HEADER_BYTES = 64;
    private static final int SEGMENT_BYTES = 56;
    private static final int SYMBOL_BYTES = 24;
    private static final int DYNAMIC_BYTES = 16;
    /// `movabs rax, address; jmp rax`, padded to 16.
    private static final int STUB_BYTES = 16;

    private static final int PT_LOAD = 1;
    private static final int PT_DYNAMIC = 2;
    private static final int PT_GNU_STACK = 0x6474e551;
    private static final int READ = 4;
    private static final int WRITE = 2;
    private static final int EXECUTE = 1;

    private static final int DT_HASH = 4;
    private static final int DT_STRTAB = 5;
    private static final int DT_SYMTAB = 6;
    private static final int DT_STRSZ = 10;
    private static final int DT_SYMENT = 11;
    private static final int DT_SONAME = 14;
    private static final int DT_VERSYM = 0x6ffffff0;
    private static final int DT_VERDEF = 0x6ffffffc;
    private static final int DT_VERDEFNUM = 0x6ffffffd;
    /// Those of `of`, and the empty one at the end.
    private static final int DYNAMIC_ENTRIES = 10;

    /// A version and its one name.
    private static final int VERSION_BYTES = 28;
    private static final int BASE_VERSION = 1;
    private static final int OUR_VERSION = 2;

    private ForwardingLibrary() {}

    /// @param soname what the library calls itself, and the version of its symbols
    /// @param targets the address behind each exported name
    /// @return the bytes of the file
    static byte[] of(String soname, Map<String, Long> targets) {
        List<String> names = new ArrayList<>(targets.keySet());
        StringBuilder strings = new StringBuilder("\0" + soname + "\0");
        int[] nameAt = new int[names.size()];
        for (int i = 0; i < nameAt.length; i++) {
            nameAt[i] = strings.length();
            strings.append(names.get(i)).append('\0');
        }
        byte[] stringBytes = strings.toString().getBytes(StandardCharsets.US_ASCII);

        // The first page or pages: headers, symbols, their names, a hash table, versions, code. The last one: the dynamic section,
        // which the loader writes to.
        int symbolsAt = HEADER_BYTES + 4 * SEGMENT_BYTES;
        int symbols = names.size() + 1;
        int hashAt = symbolsAt + symbols * SYMBOL_BYTES;
        int versionsAt = hashAt + (3 + symbols) * Integer.BYTES;
        int versionOfAt = versionsAt + 2 * VERSION_BYTES;
        int stringsAt = versionOfAt + symbols * Short.BYTES;
        int codeAt = (stringsAt + stringBytes.length + STUB_BYTES - 1) / STUB_BYTES * STUB_BYTES;
        int textBytes = codeAt + names.size() * STUB_BYTES;
        int dynamicAt = (textBytes + PAGE - 1) / PAGE * PAGE;
        int dynamicBytes = DYNAMIC_ENTRIES * DYNAMIC_BYTES;

        ByteBuffer file = ByteBuffer.allocate(dynamicAt + dynamicBytes).order(ByteOrder.LITTLE_ENDIAN);
        header(file);
        segment(file, PT_LOAD, READ | EXECUTE, 0, textBytes, PAGE);
        segment(file, PT_LOAD, READ | WRITE, dynamicAt, dynamicBytes, PAGE);
        segment(file, PT_DYNAMIC, READ | WRITE, dynamicAt, dynamicBytes, 8);
        segment(file, PT_GNU_STACK, READ | WRITE, 0, 0, 16);

        file.position(symbolsAt + SYMBOL_BYTES);  // the first symbol is the empty one
        for (int i = 0; i < names.size(); i++) {
            // a global function, defined here: the section number only has to be one that is not "undefined"
            file.putInt(nameAt[i]).put((byte) 0x12).put((byte) 0).putShort((short) 1);
            file.putLong(codeAt + (long) i * STUB_BYTES).putLong(STUB_BYTES);
        }
        // One bucket with every symbol in its chain: there are few.
        file.putInt(1).putInt(symbols).putInt(symbols > 1 ? 1 : 0);
        for (int i = 0; i < symbols; i++) {
            file.putInt(i == 0 || i == symbols - 1 ? 0 : i + 1);
        }
        version(file, BASE_VERSION, soname, VERSION_BYTES);
        version(file, OUR_VERSION, soname, 0);
        for (int i = 0; i < symbols; i++) {
            file.putShort((short) (i == 0 ? 0 : OUR_VERSION));
        }
        file.put(stringBytes);
        for (int i = 0; i < names.size(); i++) {
            file.position(codeAt + i * STUB_BYTES);
            file.put((byte) 0x48).put((byte) 0xb8).putLong(targets.get(names.get(i))).put((byte) 0xff).put((byte) 0xe0);
        }

        file.position(dynamicAt);
        file.putLong(DT_SONAME).putLong(1);
        file.putLong(DT_HASH).putLong(hashAt);
        file.putLong(DT_STRTAB).putLong(stringsAt);
        file.putLong(DT_SYMTAB).putLong(symbolsAt);
        file.putLong(DT_STRSZ).putLong(stringBytes.length);
        file.putLong(DT_SYMENT).putLong(SYMBOL_BYTES);
        file.putLong(DT_VERSYM).putLong(versionOfAt);
        file.putLong(DT_VERDEF).putLong(versionsAt);
        file.putLong(DT_VERDEFNUM).putLong(2);
        return file.array();
    }

    /// A version called like the library, whose name is the first of the strings. The base version stands for the library.
    private static void version(ByteBuffer file, int number, String name, int next) {
        int base = number == BASE_VERSION ? 1 : 0;
        file.putShort((short) 1).putShort((short) base).putShort((short) number).putShort((short) 1);
        file.putInt(hash(name)).putInt(20).putInt(next);
        file.putInt(1).putInt(0);
    }

    /// The hash of ELF.
    private static int hash(String name) {
        int hash = 0;
        for (int i = 0; i < name.length(); i++) {
            hash = (hash << 4) + name.charAt(i);
            int high = hash & 0xf0000000;
            hash = (hash ^ high >>> 24) & ~high;
        }
        return hash;
    }

    /// A 64-bit little-endian shared object for x86-64, its four segments behind this header, no sections.
    private static void header(ByteBuffer file) {
        file.put(new byte[] {0x7f, 'E', 'L', 'F', 2, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0});
        file.putShort((short) 3).putShort((short) 62).putInt(1);
        file.putLong(0).putLong(HEADER_BYTES).putLong(0).putInt(0);
        file.putShort((short) HEADER_BYTES).putShort((short) SEGMENT_BYTES).putShort((short) 4);
        file.putShort((short) 64).putShort((short) 0).putShort((short) 0);
    }

    private static void segment(ByteBuffer file, int type, int rights, long offset, long bytes, long alignment) {
        file.putInt(type).putInt(rights).putLong(offset).putLong(offset).putLong(offset);
        file.putLong(bytes).putLong(bytes).putLong(alignment);
    }
}
