package dev.sidewinder.server.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.net.URI;
import java.net.http.HttpRequest;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class ClientKeyTest {

    private static HttpRequest request(Map<String, String> environment) {
        return ClientKey.of(environment).addTo(HttpRequest.newBuilder(URI.create("http://127.0.0.1/"))).build();
    }

    @Test
    void sendsTheKeyOfTheEnvironmentAndShowsItNowhere() {
        Map<String, String> environment = Map.of("SIDEWINDER_API_KEY", " sk-sw-secret\n");
        assertThat(request(environment).headers().firstValue("authorization")).contains("Bearer sk-sw-secret");
        assertThat(ClientKey.of(environment).toString() + ClientKey.of(environment).advice()).doesNotContain("secret");
    }

    @ParameterizedTest
    @ValueSource(strings = {"two words", "a\nsk-secret", "sk-secret\u0000", "sk-secr\u00e9t"})
    void refusesWhatNoHeaderCanCarryWithoutShowingIt(String key) {
        assertThatThrownBy(() -> ClientKey.of(Map.of("SIDEWINDER_API_KEY", key))).isInstanceOf(IllegalArgumentException.class)
                .hasMessageStartingWith("SIDEWINDER_API_KEY").hasMessageNotContaining("sk-").hasMessageNotContaining("two");
    }

    @Test
    void sendsNothingWhereThereIsNone() {
        assertThat(request(Map.of()).headers().map()).isEmpty();
        assertThat(request(Map.of("SIDEWINDER_API_KEY", " ")).headers().map()).isEmpty();
        assertThat(ClientKey.NONE.advice()).contains("set SIDEWINDER_API_KEY");
    }
}
