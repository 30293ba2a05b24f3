package dev.sidewinder.server.auth;

import java.net.http.HttpRequest;
import java.util.Map;
import java.util.Optional;
import java.util.regex.Pattern;

/// The key that our own clients send. It comes from the environment: a command line is for everybody on the machine to read.
///
/// @param key empty = none is sent
public record ClientKey(Optional<String> key) {

    private static final Pattern PRINTABLE = Pattern.compile("[!-~]+");
    public static final ClientKey NONE = new ClientKey(Optional.empty());
    public static final String VARIABLE = "SIDEWINDER_API_KEY";

    public ClientKey {
        // here, since whoever else refuses it shows it
        if (key.isPresent() && !PRINTABLE.matcher(key.get()).matches()) {
            throw new IllegalArgumentException(VARIABLE + " holds something that is no key: keys have no spaces and no control characters");
        }
    }

    /// @param environment variables of the process
    /// @throws IllegalArgumentException for a key that no request can carry; the message does not repeat it
    public static ClientKey of(Map<String, String> environment) {
        return new ClientKey(Optional.ofNullable(environment.get(VARIABLE)).map(String::strip).filter(key -> !key.isEmpty()));
    }

    /// Adds the key to a request.
    public HttpRequest.Builder addTo(HttpRequest.Builder request) {
        key.ifPresent(each -> request.header("authorization", "Bearer " + each));
        return request;
    }

    /// What to say to somebody whom a server has refused, in addition to its own words.
    public String advice() {
        return key.isPresent() ? " (the key in " + VARIABLE + " was sent)" : " (set " + VARIABLE + " to your key)";
    }

    /// Without the key.
    @Override
    public String toString() {
        return key.isPresent() ? "a key" : "no key";
    }
}
