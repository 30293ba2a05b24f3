package dev.sidewinder.server.api;

import java.util.Set;

/// One field of a request.
///
/// @param name         as clients spell it
/// @param where        the routes that know it
/// @param type         what it may hold; reads, checks and describes it
/// @param standard     what holds when it is absent, in words for the documentation
/// @param origin       whose field it is
/// @param meaning      one line for the documentation
/// @param required     whether a request without it is refused
public record Parameter(String name, Set<Endpoint> where, ParameterType type, String standard, Origin origin,
        String meaning, boolean required) {

    /// Whose field it is.
    public enum Origin {
        /// part of the OpenAI API
        SPEC("spec"),
        /// part of it, withdrawn by now
        SPEC_OLD("spec, old"),
        /// an extension: ours, or one that other servers made common
        EXT("ext");

        private final String label;

        Origin(String label) {
            this.label = label;
        }

        public String label() {
            return label;
        }
    }

    public Parameter {
        where = Set.copyOf(where);
    }
}
