package dev.sidewinder.server.settings;

import dev.sidewinder.server.settings.SettingValues.Found;
import java.io.IOException;
import java.io.Reader;
import java.nio.charset.CharacterCodingException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Properties;
import java.util.Set;

/// Collects the settings from the flags of `serve`, the environment and a properties file; the earlier of these wins.
/// A name that the table does not have stops the start, wherever it was written.
final class SettingsReader {

    private static final String DEFAULT_FILE = "sidewinder.properties";
    private static final String CONFIG_FLAG = "--config";

    private final Map<String, Setting<?>> byFlag = new HashMap<>();
    private final Map<String, Setting<?>> byVariable = new HashMap<>();
    private final Map<String, Setting<?>> byName = new HashMap<>();

    SettingsReader() {
        for (Setting<?> setting : Settings.ALL) {
            put(byName, setting.name(), setting);
            put(byVariable, setting.variable(), setting);
            setting.flags().forEach(flag -> put(byFlag, flag, setting));
        }
    }

    private static void put(Map<String, Setting<?>> map, String key, Setting<?> setting) {
        if (map.put(key, setting) != null) {
            throw new IllegalStateException("two settings are called " + key);
        }
    }

    /// @param flags       what stands behind `serve` on the command line
    /// @param environment all variables; only those that begin with `SIDEWINDER_` are looked at
    /// @param folder      where `sidewinder.properties` may lie
    SettingValues read(List<String> flags, Map<String, String> environment, Path folder) {
        List<String> notes = new ArrayList<>();
        Map<String, Found> fromFlags = new HashMap<>();
        Optional<Path> named = readFlags(flags, fromFlags, notes);
        Map<String, Found> found = new HashMap<>(readFile(named, folder));
        found.putAll(readEnvironment(environment));
        found.putAll(fromFlags);
        return new SettingValues(found, notes);
    }

    /// Returns the file that `--config` names.
    private Optional<Path> readFlags(List<String> flags, Map<String, Found> found, List<String> notes) {
        Path file = null;
        for (int i = 0; i < flags.size(); i++) {
            String argument = flags.get(i);
            if (!argument.startsWith("--")) {
                throw new SettingsException("serve takes flags only, found \"" + argument + "\"; see serve --help");
            }
            int equals = argument.indexOf('=');
            String flag = equals < 0 ? argument : argument.substring(0, equals);
            Setting<?> setting = byFlag.get(flag);
            Boolean builtIn = Settings.BUILT_IN.get(flag);
            if (setting == null && builtIn == null && !flag.equals(CONFIG_FLAG)) {
                throw unknown("flag", flag, knownFlags());
            }
            boolean bare = builtIn != null ? !builtIn : setting != null && setting.kind().flag();
            String value;
            if (equals >= 0) {
                value = argument.substring(equals + 1);
            } else if (bare) {
                value = "true";
            } else if (i + 1 < flags.size()) {
                value = flags.get(++i);
            } else {
                throw new SettingsException(flag + " needs a value");
            }
            if (setting != null) {
                Found earlier = found.put(setting.name(), new Found(value, flag));
                if (earlier != null) {
                    throw new SettingsException(flag + " sets " + setting.name() + ", which " + earlier.source()
                            + " has set already; give it once");
                }
            } else if (builtIn != null) {
                notes.add(flag + " changes nothing: what it asks for is built in");
            } else {
                file = Path.of(value);
            }
        }
        return Optional.ofNullable(file);
    }

    private Map<String, Found> readEnvironment(Map<String, String> environment) {
        Map<String, Found> found = new HashMap<>();
        environment.forEach((variable, value) -> {
            if (variable.startsWith("SIDEWINDER_") && !Settings.LAUNCHER_VARIABLES.contains(variable)) {
                Setting<?> setting = byVariable.get(variable);
                if (setting == null) {
                    Set<String> known = new HashSet<>(byVariable.keySet());
                    known.addAll(Settings.LAUNCHER_VARIABLES);
                    throw unknown("environment variable", variable, known);
                }
                found.put(setting.name(), new Found(value, variable));
            }
        });
        return found;
    }

    private Map<String, Found> readFile(Optional<Path> named, Path folder) {
        Path file = named.orElse(folder.resolve(DEFAULT_FILE));
        if (named.isEmpty() && !Files.exists(file)) {
            return Map.of();
        }
        Properties properties = new OnceProperties(file);
        try (Reader reader = Files.newBufferedReader(file, StandardCharsets.UTF_8)) {
            properties.load(reader);
        } catch (CharacterCodingException e) {
            throw new SettingsException(file + " is not UTF-8 text");
        } catch (IllegalArgumentException e) {
            throw new SettingsException(file + " is no properties file: " + e.getMessage());
        } catch (IOException e) {
            throw new SettingsException("cannot read the settings file " + file);
        }
        Map<String, Found> found = new HashMap<>();
        for (String name : properties.stringPropertyNames()) {
            if (!byName.containsKey(name)) {
                throw unknown("setting in " + file, name, byName.keySet());
            }
            found.put(name, new Found(properties.getProperty(name), file + ", " + name));
        }
        return found;
    }

    private Set<String> knownFlags() {
        Set<String> known = new HashSet<>(byFlag.keySet());
        known.addAll(Settings.BUILT_IN.keySet());
        known.add(CONFIG_FLAG);
        known.add("--help");
        return known;
    }

    private static SettingsException unknown(String what, String name, Set<String> known) {
        String hint = Nearest.of(name, known).map(near -> "; did you mean " + near + "?").orElse("; see serve --help");
        return new SettingsException("unknown " + what + ": " + name + hint);
    }

    /// `Properties` keeps the last of two lines with one name; we refuse the second.
    private static final class OnceProperties extends Properties {
        private final transient Path file;

        OnceProperties(Path file) {
            this.file = file;
        }

        @Override
        public synchronized Object put(Object key, Object value) {
            if (super.put(key, value) != null) {
                throw new SettingsException(file + " sets " + key + " twice");
            }
            return null;
        }
    }
}
