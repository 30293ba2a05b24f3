package dev.sidewinder.server.api;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.Arrays;
import java.util.Optional;
import org.junit.jupiter.api.Test;

class PartitionsTest {

    private static final Tenant ALICE = new Tenant("alice");
    private static final Tenant BOB = new Tenant("bob");

    private final Partitions partitions = new Partitions(key(1));

    private static byte[] key(int fill) {
        byte[] key = new byte[Partitions.KEY_BYTES];
        Arrays.fill(key, (byte) fill);
        return key;
    }

    @Test
    void isTheSameForTheSameTenantAndSalt() {
        assertThat(partitions.of(ALICE, Optional.of("s"))).isEqualTo(new Partitions(key(1)).of(new Tenant("alice"), Optional.of("s")));
    }

    @Test
    void dividesByTenantAndBySalt() {
        assertThat(Arrays.asList(partitions.of(ALICE, Optional.empty()), partitions.of(BOB, Optional.empty()),
                partitions.of(ALICE, Optional.of("s")), partitions.of(BOB, Optional.of("s")), partitions.of(ALICE, Optional.of("S")),
                partitions.of(ALICE, Optional.of(" ")), partitions.of(new Tenant(""), Optional.empty()))).doesNotHaveDuplicates();
    }

    @Test
    void noSaltMakesTheTenantOfAnother() {
        // given names and salts that are the same when they are written one behind the other
        assertThat(partitions.of(new Tenant("ab"), Optional.of("c"))).isNotEqualTo(partitions.of(new Tenant("a"), Optional.of("bc")));
        assertThat(partitions.of(new Tenant("a"), Optional.of(""))).isNotEqualTo(partitions.of(new Tenant("a"), Optional.empty()));
    }

    @Test
    void knowsAllPartitionsOfATenantAndNoneOfOthers() {
        assertThat(Arrays.asList(Optional.<String>empty(), Optional.of(""), Optional.of("s")))
                .allMatch(salt -> partitions.allOf(ALICE).test(partitions.of(ALICE, salt)))
                .noneMatch(salt -> partitions.allOf(ALICE).test(partitions.of(BOB, salt)))
                .noneMatch(salt -> partitions.allOf(ALICE).test(new Partitions(key(2)).of(ALICE, salt)));
    }

    @Test
    void dependsOnTheKeyOfTheProcess() {
        assertThat(new Partitions(key(2)).of(ALICE, Optional.empty())).isNotEqualTo(partitions.of(ALICE, Optional.empty()));
        assertThatThrownBy(() -> new Partitions(new byte[3])).isInstanceOf(IllegalArgumentException.class);
    }
}
