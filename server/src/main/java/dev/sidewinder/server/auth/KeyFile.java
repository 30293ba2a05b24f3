package dev.sidewinder.server.auth;

import dev.sidewinder.server.api.Tenant;
import java.io.IOException;
import java.io.InputStream;
import java.nio.ByteBuffer;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.CodingErrorAction;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.HashSet;
import java.util.HexFormat;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.regex.Pattern;

/// Reads a file of keys. A line is a key, `id:roles:sha256`, or with options `id:roles:sha256:weight=3,priority-floor=-10`:
///
/// | part     | what it is                                                                              |
/// |----------|-----------------------------------------------------------------------------------------|
/// | `id`     | the tenant: 1 to 64 of `A-Z a-z 0-9 . _ -`                                              |
/// | `roles`  | some of `inference`, `operator`, `metrics`, with commas                                 |
/// | `sha256` | of the key, 64 hexadecimal digits                                                       |
/// | options  | `weight`, 1..100 (default 1): share of turns and queue; `priority-floor`, -1000..1000: |
/// |          | the most urgent priority that its requests get                                          |
///
/// Several lines may share an id, an old key and its successor; each has its own roles, and all have the same options.
/// Empty lines and lines that begin with `#` say nothing.
public final class KeyFile {

    private static final long MOST_BYTES = 1 << 20;
    private static final Pattern ID = Pattern.compile("[A-Za-z0-9._-]{1,64}");
    /// Tenants of our own.
    private static final Set<String> RESERVED = Set.of(Tenant.ANONYMOUS.name(), Tenant.SELF_TEST.name());
    private static final String FORM = "id:roles:sha256, for example as ./sidewinder key prints it";

    private final String name;
    private final List<ApiKey> keys = new ArrayList<>();
    private final Map<String, Tenant> tenants = new HashMap<>();
    private int line;

    private KeyFile(String name) {
        this.name = name;
    }

    /// @throws KeyFileException when the file cannot be read, or a line of it is wrong
    public static KeyRing read(Path file) {
        return parse(file.toString(), bytes(file));
    }

    /// What the file holds now.
    static byte[] bytes(Path file) {
        try (InputStream in = Files.newInputStream(file)) {
            byte[] bytes = in.readNBytes((int) MOST_BYTES + 1);
            if (bytes.length > MOST_BYTES) {
                throw new KeyFileException(file + " is larger than " + MOST_BYTES + " bytes: this is no file of keys");
            }
            return bytes;
        } catch (IOException e) {
            throw new KeyFileException("cannot read the file of keys " + file + " (" + e.getClass().getSimpleName() + ")");
        }
    }

    /// @param name of the file, for messages
    static KeyRing parse(String name, byte[] bytes) {
        String text;
        try {
            text = StandardCharsets.UTF_8.newDecoder().onMalformedInput(CodingErrorAction.REPORT).decode(ByteBuffer.wrap(bytes)).toString();
        } catch (CharacterCodingException e) {
            throw new KeyFileException(name + " is not UTF-8 text");
        }
        var file = new KeyFile(name);
        text.lines().forEach(file::line);
        if (file.keys.isEmpty()) {
            throw new KeyFileException(name + " has no key; a line is " + FORM);
        }
        return new KeyRing(file.keys);
    }

    private void line(String raw) {
        line++;
        String text = raw.strip();
        if (text.isEmpty() || text.startsWith("#")) {
            return;
        }
        String[] parts = text.split(":", -1);
        if (parts.length < 3 || parts.length > 4) {
            throw wrong("there must be three parts, or four with options: " + FORM);
        }
        Tenant tenant = tenant(parts[0], parts.length == 4 ? parts[3] : "");
        var key = new ApiKey(new Caller(tenant, roles(parts[1])), digest(parts[2]));
        if (keys.stream().anyMatch(key::hasDigestOf)) {
            throw wrong("the same key stands further up");
        }
        keys.add(key);
    }

    private Tenant tenant(String id, String options) {
        if (!ID.matcher(id).matches()) {
            throw wrong("the first part is an id of 1 to 64 letters, digits, dots, dashes and underscores");
        }
        if (RESERVED.contains(id)) {
            throw wrong("the server uses the id " + id + " itself; choose another one");
        }
        Tenant tenant = options(id, options);
        Tenant before = tenants.putIfAbsent(id, tenant);
        if (before != null && !before.equals(tenant)) {
            throw wrong("the options of " + id + " are others further up; they must be the same on all its lines");
        }
        return tenant;
    }

    private Tenant options(String id, String text) {
        Tenant plain = new Tenant(id);
        Map<String, Integer> values = new HashMap<>(Map.of("weight", plain.weight(), "priority-floor", plain.priorityFloor()));
        Set<String> open = new HashSet<>(values.keySet());
        for (String option : text.isEmpty() ? new String[0] : text.split(",", -1)) {
            String[] both = option.split("=", -1);
            if (both.length != 2 || !open.remove(both[0].strip())) {
                throw wrong("options are weight=N and priority-floor=N, each once, with a comma between them");
            }
            try {
                values.put(both[0].strip(), Integer.valueOf(both[1].strip()));
            } catch (NumberFormatException e) {
                throw wrong("the option " + both[0].strip() + " is an integer");
            }
        }
        try {
            return new Tenant(id, values.get("weight"), values.get("priority-floor"));
        } catch (IllegalArgumentException outOfRange) {
            throw wrong(outOfRange.getMessage());
        }
    }

    private Set<Role> roles(String text) {
        Set<Role> roles = EnumSet.noneOf(Role.class);
        for (String word : text.split(",", -1)) {
            Role role = Role.spelled(word.strip()).orElseThrow(() -> wrong("roles are some of "
                    + String.join(", ", Arrays.stream(Role.values()).map(Role::spelling).toList()) + ", with commas between them"));
            if (!roles.add(role)) {
                throw wrong("the role " + role.spelling() + " stands twice");
            }
        }
        return roles;
    }

    private byte[] digest(String text) {
        byte[] digest = {};
        try {
            digest = HexFormat.of().parseHex(text);
        } catch (IllegalArgumentException e) {
            // said below
        }
        if (Arrays.equals(digest, ApiKey.digestOf(""))) {
            throw wrong("this is the SHA-256 of nothing: the key was lost on its way into sha256sum");
        }
        if (digest.length == ApiKey.DIGEST_BYTES) {
            return digest;
        }
        throw wrong("the third part is the SHA-256 of the key, 64 hexadecimal digits; a key itself never belongs here");
    }

    private KeyFileException wrong(String what) {
        return new KeyFileException(name + ", line " + line + ": " + what);
    }
}
