package dev.sidewinder.server.auth;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import dev.sidewinder.server.api.ApiException;
import dev.sidewinder.server.api.Tenant;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Set;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class GatekeeperTest {

    private static final Set<Role> INFERENCE = Set.of(Role.INFERENCE);

    private KeyRing ring = KeyFile.parse("keys", """
            a:inference:%s
            b:inference,operator:%s
            m:metrics:%s
            """.formatted(KeyFileTest.digest("key-a"), KeyFileTest.digest("key-b"), KeyFileTest.digest("key-m"))
            .getBytes(StandardCharsets.UTF_8));
    private final Gatekeeper gatekeeper = Gatekeeper.with(() -> ring);

    private static String refusal(Runnable asking) {
        try {
            asking.run();
        } catch (ApiException refused) {
            return refused.error().status() + " " + refused.error().code();
        }
        throw new AssertionError("nobody was refused");
    }

    @Test
    void tellsWhoAsksByEitherHeader() {
        assertThat(gatekeeper.admit(List.of("Bearer key-a"), List.of(), INFERENCE).tenant()).isEqualTo(new Tenant("a"));
        assertThat(gatekeeper.admit(List.of("bEARER   key-b "), List.of(), INFERENCE).tenant()).isEqualTo(new Tenant("b"));
        assertThat(gatekeeper.admit(List.of(), List.of(" key-a"), INFERENCE).tenant()).isEqualTo(new Tenant("a"));
        assertThat(gatekeeper.admit(List.of("Bearer key-a"), List.of("key-a"), INFERENCE).tenant()).isEqualTo(new Tenant("a"));
    }

    @Test
    void refusesTwoKeysThatDifferThoughBothAreValid() {
        assertThat(refusal(() -> gatekeeper.admit(List.of("Bearer key-a"), List.of("key-b"), INFERENCE))).isEqualTo("401 invalid_api_key");
        assertThat(refusal(() -> gatekeeper.admit(List.of("Bearer key-a", "Bearer key-b"), List.of(), INFERENCE)))
                .isEqualTo("401 invalid_api_key");
        assertThat(refusal(() -> gatekeeper.admit(List.of(), List.of("key-b", "wrong"), INFERENCE))).isEqualTo("401 invalid_api_key");
        assertThat(refusal(() -> gatekeeper.admit(List.of("Basic a2V5LWE="), List.of("key-a"), INFERENCE))).isEqualTo("401 invalid_api_key");
    }

    @ParameterizedTest
    @ValueSource(strings = {"", "Bearer", "Bearer ", "Bearerkey-a", "key-a", "Bearer KEY-A", "Bearer key-a,key-b", "Bearer key-", "Bearer key-a\u0000",
        "Bearer \u00e9", "Basic key-a", "Bearer\tkey-a", "Bearer a:inference", "Bearer Bearer key-a"})
    void refusesEverythingElse(String header) {
        assertThat(refusal(() -> gatekeeper.admit(List.of(header), List.of(), INFERENCE))).isEqualTo("401 invalid_api_key");
    }

    @Test
    void refusesWhoHasNoKey() {
        assertThatThrownBy(() -> gatekeeper.admit(List.of(), List.of(), INFERENCE)).hasMessageContaining("needs an API key");
        assertThat(refusal(() -> gatekeeper.admit(List.of(), List.of(), INFERENCE))).isEqualTo("401 invalid_api_key");
        assertThat(refusal(() -> gatekeeper.admit(List.of(), List.of(""), INFERENCE))).isEqualTo("401 invalid_api_key");
    }

    @Test
    void takesNoDigestForAKey() {
        assertThat(refusal(() -> gatekeeper.admit(List.of("Bearer " + KeyFileTest.digest("key-a")), List.of(), INFERENCE)))
                .isEqualTo("401 invalid_api_key");
    }

    @Test
    void asksForOneOfTheRolesOfARoute() {
        assertThat(refusal(() -> gatekeeper.admit(List.of("Bearer key-a"), List.of(), Set.of(Role.METRICS)))).isEqualTo("403 role_missing");
        assertThat(refusal(() -> gatekeeper.admit(List.of("Bearer key-b"), List.of(), Set.of(Role.METRICS)))).isEqualTo("403 role_missing");
        assertThat(refusal(() -> gatekeeper.admit(List.of("Bearer key-m"), List.of(), INFERENCE))).isEqualTo("403 role_missing");
        assertThat(gatekeeper.admit(List.of("Bearer key-b"), List.of(), Set.of(Role.OPERATOR, Role.METRICS)).is(Role.OPERATOR)).isTrue();
        assertThat(gatekeeper.admit(List.of("Bearer key-a"), List.of(), Set.of(Role.values())).is(Role.OPERATOR)).isFalse();
    }

    @Test
    void asksForTheKeysAnewEveryTime() {
        ring = KeyFile.parse("keys", ("z:inference:" + KeyFileTest.digest("key-z")).getBytes(StandardCharsets.UTF_8));
        assertThat(gatekeeper.admit(List.of("Bearer key-z"), List.of(), INFERENCE).tenant().name()).isEqualTo("z");
        assertThat(refusal(() -> gatekeeper.admit(List.of("Bearer key-a"), List.of(), INFERENCE))).isEqualTo("401 invalid_api_key");
    }

    @Test
    void letsEverybodyInWhereThereAreNoKeys() {
        Gatekeeper open = Gatekeeper.open();
        assertThat(open.admit(List.of("Bearer unused"), List.of("other"), Set.of(Role.OPERATOR))).isEqualTo(Caller.ANYBODY);
        assertThat(open.summary()).isEmpty();
        assertThat(gatekeeper.summary()).contains("3 keys of 3 tenants");
    }
}
