package dev.sidewinder.server.cli;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatCode;

import dev.sidewinder.server.settings.Installation;
import dev.sidewinder.server.settings.ServerConfig;
import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.attribute.FileTime;
import java.nio.file.attribute.PosixFilePermissions;
import java.time.Instant;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import java.util.regex.MatchResult;
import java.util.regex.Pattern;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

/// Runs the real `./sidewinder` in a small copy of the repository, with a Java and a Maven that only record how they
/// were called.
class LauncherTest {

    private static final int PATIENCE_SECONDS = 120;
    private static final String FLAGS = "--add-modules a.module --enable-native-access=ALL-UNNAMED";

    @TempDir
    Path folder;

    private Path repository;
    private Path jdk;
    private Path maven;
    private final Map<String, String> environment = new HashMap<>();

    @BeforeEach
    void copyTheRepository() throws IOException {
        repository = Files.createDirectories(folder.resolve("a folder/with spaces"));
        Path original = Path.of("..", "sidewinder").toRealPath();
        Files.copy(original, repository.resolve("sidewinder"));
        Files.writeString(repository.resolve("pom.xml"),
                "<project>\n  <sidewinder.jvm.flags>" + FLAGS + "</sidewinder.jvm.flags>\n</project>\n");
        Files.createDirectories(repository.resolve("server/src/main/java"));
        Files.writeString(repository.resolve("server/pom.xml"), "<project/>");
        Files.writeString(repository.resolve("server/src/main/java/A.java"), "class A {}");

        jdk = jdk("jdk 25", "25.0.3");
        maven = script(folder.resolve("fake mvn"), """
                echo "JAVA_HOME=$JAVA_HOME $*" >>"%1$s/maven-calls"
                sleep "${FAKE_MAVEN_SECONDS:-0}"
                if [ -n "${FAKE_MAVEN_FAILS:-}" ]; then echo "A.java:1: nonsense"; exit 1; fi
                cat "%1$s/maven-output" 2>/dev/null
                mkdir -p "%1$s/server/target/quarkus-app"
                echo jar >"%1$s/server/target/quarkus-app/quarkus-run.jar"
                mkdir -p "%1$s/bench/target/lib"
                """.formatted(repository));
        environment.put("SIDEWINDER_JAVA_HOME", jdk.toString());
        environment.put("SIDEWINDER_MVN", maven.toString());
        environment.put("SIDEWINDER_NO_AOT", "1");
    }

    @Test
    void saysHowItIsUsedWithoutBuildingOrJava() throws Exception {
        environment.put("SIDEWINDER_JAVA_HOME", "/nowhere");

        for (List<String> arguments : List.of(List.<String>of(), List.of("--help"), List.of("help"))) {
            Result result = launch(arguments);
            assertThat(result.status()).isZero();
            assertThat(result.output()).contains("usage: ./sidewinder COMMAND", "serve", "make-model", "bench", "simulate");
        }
        assertThat(mavenCalls()).isEmpty();
    }

    @ParameterizedTest
    @CsvSource({"sevre, serve", "tests, test", "makemodel, make-model", "logit, logits", "cat, chat"})
    void namesTheNearestCommand(String typed, String meant) throws Exception {
        Result result = launch(List.of(typed));

        assertThat(result.status()).isEqualTo(2);
        assertThat(result.errors()).contains("unknown command " + typed + "; did you mean " + meant + "?");
        assertThat(result.errors().lines()).hasSize(1);
    }

    @Test
    void guessesNothingWhenNoCommandIsNear() throws Exception {
        Result result = launch(List.of("frobnicate"));

        assertThat(result.status()).isEqualTo(2);
        assertThat(result.errors()).isEqualTo("sidewinder: unknown command frobnicate (./sidewinder --help lists all)\n");
    }

    /// Elsewhere tests of kernels are skipped where there is no compiler; here that would be a check lost unseen.
    @Test
    void continuousIntegrationFailsWithoutTheCompilersOfKernels() throws Exception {
        Path run = repository.resolve(".ci/run");
        Files.createDirectories(run.getParent());
        Files.copy(Path.of("..", ".ci", "run").toRealPath(), run);
        script(repository.resolve("sidewinder"), "echo \"called with $*\"");
        Path bin = Files.createDirectories(folder.resolve("bin"));
        for (String needed : List.of("bash", "dirname", "sh")) {
            Files.createSymbolicLink(bin.resolve(needed), Path.of("/bin").resolve(needed).toRealPath());
        }
        environment.put("PATH", bin.toString());
        environment.put("CUDA_HOME", "/nowhere");
        environment.put("SIDEWINDER_CUDA_FOLDER", "/nowhere");

        Result nothing = run(List.of(run.toString(), "--fast"), folder);
        script(bin.resolve("g++"), "");
        Result withoutNvcc = run(List.of(run.toString(), "--fast"), folder);
        script(bin.resolve("nvcc"), "");
        Result both = run(List.of(run.toString(), "--fast"), folder);

        assertThat(nothing.status()).isEqualTo(1);
        assertThat(nothing.errors()).contains("there is no g++");
        assertThat(withoutNvcc.status()).isEqualTo(1);
        assertThat(withoutNvcc.errors()).contains("there is no nvcc");
        assertThat(both.status()).isZero();
        assertThat(both.output()).isEqualTo("called with test --fast\n");
    }

    @Test
    void handsArgumentsToJavaWithTheFlagsOfThePom() throws Exception {
        environment.put("SIDEWINDER_JAVA_OPTS", "-Xmx1g -Dx=y");

        Result result = launch(List.of("inspect", "two words", "--json", "$HOME *"));

        assertThat(result.status()).isZero();
        assertThat(result.output().lines()).containsSubsequence("--add-modules", "a.module",
                "--enable-native-access=ALL-UNNAMED", "-XX:+ExitOnOutOfMemoryError", "-Xmx1g", "-Dx=y", "-jar");
        assertThat(result.output().lines().toList()).endsWith("inspect", "two words", "--json", "$HOME *");
    }

    @Test
    void benchIsBuiltAndRunOnItsOwn() throws Exception {
        Result result = launch(List.of("bench", "model"));

        assertThat(result.output().lines().toList()).endsWith("dev.sidewinder.bench.Main", "model");
        assertThat(mavenCalls()).hasSize(1).first().asString().contains("-pl bench -am ").endsWith(" package");
        launch(List.of("bench", "model"));
        assertThat(mavenCalls()).hasSize(1);
    }

    @Test
    void theExitStatusIsThatOfJava() throws Exception {
        environment.put("FAKE_JAVA_STATUS", "71");

        assertThat(launch(List.of("serve")).status()).isEqualTo(71);
    }

    @Test
    void worksThroughSymbolicLinksAndFromAnotherFolder() throws Exception {
        Path first = Files.createSymbolicLink(folder.resolve("first"), repository.resolve("sidewinder"));
        Path second = Files.createSymbolicLink(Files.createDirectories(folder.resolve("bin")).resolve("sw"),
                Path.of("../" + first.getFileName()));

        Result result = run(List.of(second.toString(), "inspect"), folder);

        assertThat(result.status()).isZero();
        assertThat(mavenCalls()).hasSize(1);
    }

    @Test
    void buildsOnceAndAgainOnlyWhenASourceIsNewer() throws Exception {
        // given a first run that builds
        assertThat(launch(List.of("inspect")).errors()).contains("building…");
        assertThat(mavenCalls()).hasSize(1).first().asString()
                .contains("JAVA_HOME=" + jdk, "-DskipTests", "package");

        // then a second one does not, and says nothing
        assertThat(launch(List.of("inspect")).errors()).isEmpty();
        assertThat(mavenCalls()).hasSize(1);

        // but a newer source, a newer pom, a new module's pom and a deleted file do
        makeNewer(repository.resolve("server/src/main/java/A.java"));
        launch(List.of("inspect"));
        assertThat(mavenCalls()).as("source").hasSize(2);
        ageEverything();
        makeNewer(repository.resolve("pom.xml"));
        launch(List.of("inspect"));
        assertThat(mavenCalls()).as("pom").hasSize(3);
        ageEverything();
        Files.delete(repository.resolve("server/src/main/java/A.java"));
        makeNewer(repository.resolve("server/src/main/java"));
        launch(List.of("inspect"));
        assertThat(mavenCalls()).as("deleted file").hasSize(4);
    }

    @Test
    void aTestOrADocumentDoesNotMakeTheBuildStale() throws Exception {
        launch(List.of("inspect"));

        makeNewer(Files.writeString(repository.resolve("README.md"), "text"));
        Path test = repository.resolve("server/src/test/java/ATest.java");
        Files.createDirectories(test.getParent());
        makeNewer(Files.writeString(test, "class ATest {}"));
        launch(List.of("inspect"));

        assertThat(mavenCalls()).hasSize(1);
    }

    @Test
    void simulateRunsFromTheBuildOfBench() throws Exception {
        Result result = launch(List.of("simulate", "--minutes", "1"));

        assertThat(result.output().lines().toList()).endsWith("dev.sidewinder.bench.simulate.SimulateCommand", "--minutes", "1");
        assertThat(mavenCalls()).hasSize(1).first().asString().contains("-pl bench -am ").endsWith(" package");
        launch(List.of("bench", "model"));
        assertThat(mavenCalls()).hasSize(1);
    }

    @Test
    void everyJvmIsToldWhereItWasInstalled() throws Exception {
        String option = "-Dsidewinder.root=" + repository.toRealPath();

        assertThat(launch(List.of("serve")).output().lines()).contains(option);
        assertThat(launch(List.of("eval")).output().lines()).contains(option);
        assertThat(launch(List.of("bench")).output().lines()).contains(option);
    }

    @Test
    void aFailedBuildShowsItsLogAndIsTriedAgain() throws Exception {
        environment.put("FAKE_MAVEN_FAILS", "yes");

        Result result = launch(List.of("serve"));

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.errors()).contains("A.java:1: nonsense", "the build failed; the whole log:");
        assertThat(result.output()).isEmpty();
        environment.remove("FAKE_MAVEN_FAILS");
        assertThat(launch(List.of("serve")).status()).isZero();
        assertThat(mavenCalls()).hasSize(2);
    }

    @ParameterizedTest
    @CsvSource({"flock", "folder"})
    void twoAtOnceBuildOnce(String kindOfLock) throws Exception {
        if (kindOfLock.equals("folder")) {
            environment.put("SIDEWINDER_NO_FLOCK", "1");
        }
        environment.put("FAKE_MAVEN_SECONDS", "1.5");
        List<Process> processes = new ArrayList<>();
        for (int i = 0; i < 3; i++) {
            processes.add(start(List.of(repository.resolve("sidewinder").toString(), "inspect"), repository));
        }

        for (Process process : processes) {
            assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).isTrue();
            assertThat(process.exitValue()).isZero();
        }
        assertThat(mavenCalls()).hasSize(1);
        assertThat(repository.resolve("target/sidewinder/lock.d")).doesNotExist();
    }

    @Test
    void aLockWhoseOwnerDiedIsTakenOver() throws Exception {
        environment.put("SIDEWINDER_NO_FLOCK", "1");
        Process dead = new ProcessBuilder("true").start();
        dead.waitFor();
        Path lock = Files.createDirectories(repository.resolve("target/sidewinder/lock.d"));
        Files.writeString(lock.resolve("pid"), dead.pid() + "\n");

        assertThat(launch(List.of("inspect")).status()).isZero();
        assertThat(mavenCalls()).hasSize(1);
    }

    @Test
    void aRunningServerKeepsItsFilesWhenTheNextBuildReplacesThem() throws Exception {
        launch(List.of("serve"));
        Path running = repository.resolve("target/sidewinder/server").toRealPath();

        makeNewer(repository.resolve("pom.xml"));
        launch(List.of("serve"));

        assertThat(repository.resolve("target/sidewinder/server").toRealPath()).isNotEqualTo(running);
        assertThat(running.resolve("quarkus-run.jar")).exists();
    }

    @Test
    void aSecondServerStartsFromTheCacheThatTheFirstLeftBehind() throws Exception {
        // given a first start, which has no cache and is not held up by the making of one
        environment.remove("SIDEWINDER_NO_AOT");
        environment.put("SIDEWINDER_MODEL_LOCATION", "/models/large");
        assertThat(launch(List.of("serve")).output()).doesNotContain("AOTCache");
        Path build = repository.resolve("target/sidewinder/server").toRealPath();
        Path cache = build.resolve("start-25.0.3+9.aot");
        for (int i = 0; i < 10 * PATIENCE_SECONDS && !Files.exists(cache); i++) {
            Thread.sleep(100);
        }

        // then the next starts use it, every command of them
        assertThat(cache).exists();
        assertThat(launch(List.of("serve")).output().lines()).contains("-XX:AOTCache=" + cache);
        assertThat(launch(List.of("inspect")).output().lines()).contains("-XX:AOTCache=" + cache);

        // and the rehearsal did not see the settings of the server
        assertThat(Files.readString(build.resolve(cache.getFileName() + ".new.env"))).doesNotContain("SIDEWINDER_");
    }

    @Test
    void findsAJdkThroughJavaHomeThenThePathThenTheSystemFolders() throws Exception {
        environment.remove("SIDEWINDER_JAVA_HOME");
        Path old = jdk("jdk-17", "17.0.9");
        Path system = folder.resolve("system jvms");
        Files.createDirectories(system);
        Files.createSymbolicLink(system.resolve("b-17"), old);
        Files.createSymbolicLink(system.resolve("c-25"), jdk);
        Path onPath = jdk("jdk on path", "25.0.1");
        Path home = jdk("java home", "25");
        environment.put("SIDEWINDER_JVM_FOLDERS", "/nowhere:" + system);

        // only in the system's folder; JAVA_HOME and the path have a 17
        environment.put("JAVA_HOME", old.toString());
        environment.put("PATH", old.resolve("bin") + ":/usr/bin:/bin");
        launch(List.of("inspect"));
        assertThat(mavenCalls()).last().asString().contains("JAVA_HOME=" + system.resolve("c-25") + " ");

        // on the path, through a link
        Path bin = Files.createDirectories(folder.resolve("linked bin"));
        Files.createSymbolicLink(bin.resolve("java"), onPath.resolve("bin/java"));
        environment.put("PATH", bin + ":/usr/bin:/bin");
        makeNewer(repository.resolve("pom.xml"));
        launch(List.of("inspect"));
        assertThat(mavenCalls()).last().asString().contains("JAVA_HOME=" + onPath + " ");

        // JAVA_HOME goes first
        environment.put("JAVA_HOME", home.toString());
        makeNewer(repository.resolve("pom.xml"), 20);
        launch(List.of("inspect"));
        assertThat(mavenCalls()).last().asString().contains("JAVA_HOME=" + home + " ");
    }

    @Test
    void saysInOneLineWhatToInstallWhenThereIsNoJdk25() throws Exception {
        environment.remove("SIDEWINDER_JAVA_HOME");
        Path runtimeOnly = jdk("jre-25", "25.0.3");
        Files.delete(runtimeOnly.resolve("bin/javac"));
        environment.put("JAVA_HOME", runtimeOnly.toString());
        environment.put("PATH", jdk("jdk-26", "26-ea").resolve("bin") + ":/usr/bin:/bin");
        environment.put("SIDEWINDER_JVM_FOLDERS", "/nowhere");

        Result result = launch(List.of("serve"));

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.errors().lines()).hasSize(1);
        assertThat(result.errors()).contains("no JDK 25 found: install one", "openjdk-25-jdk");
    }

    @Test
    void aWrongSidewinderJavaHomeIsAnErrorAndNotPassedOver() throws Exception {
        environment.put("SIDEWINDER_JAVA_HOME", jdk("jdk-21", "21.0.2").toString());
        environment.put("JAVA_HOME", jdk.toString());

        Result result = launch(List.of("serve"));

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.errors()).contains("SIDEWINDER_JAVA_HOME=", "is no JDK 25");
    }

    @Test
    void saysInOneLineWhatToInstallWhenThereIsNoMaven() throws Exception {
        environment.put("SIDEWINDER_MVN", "/nowhere/mvn");

        Result result = launch(List.of("serve"));

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.errors().lines()).hasSize(1);
        assertThat(result.errors()).contains("no Maven found (/nowhere/mvn): install it");
    }

    @Test
    void testSumsUpWhatSurefireSaid() throws Exception {
        Files.writeString(repository.resolve("maven-output"), """
                [INFO] Building Sidewinder: model 0.1.0-SNAPSHOT                        [2/6]
                [INFO] Tests run: 5, Failures: 0, Errors: 0, Skipped: 0, Time elapsed: 0.1 s -- in a.ATest
                [INFO] Tests run: 7, Failures: 0, Errors: 0, Skipped: 1, Time elapsed: 0.1 s -- in a.BTest
                [INFO] Tests run: 12, Failures: 0, Errors: 0, Skipped: 1
                [INFO] Building Sidewinder: end-to-end tests 0.1.0-SNAPSHOT                  [6/6]
                [WARNING] Tests run: 30, Failures: 0, Errors: 0, Skipped: 2
                """);

        Result result = launch(List.of("test"));

        assertThat(result.status()).isZero();
        assertThat(result.output().lines().toList()).contains("  Tests run: 5, Failures: 0, Errors: 0, Skipped: 0, "
                + "Time elapsed: 0.1 s -- in a.ATest")
                .endsWith("Tests run: 42, Failures: 0, Errors: 0, Skipped: 3");
        assertThat(result.output()).containsPattern("model +12 run, 0 failed, 0 with errors, 1 skipped")
                .containsPattern("end-to-end tests +30 run");
        assertThat(mavenCalls()).hasSize(1).first().asString().endsWith(" verify");

        // and what it built is fresh
        launch(List.of("inspect"));
        assertThat(mavenCalls()).hasSize(1);
    }

    @Test
    void testFailsWhenATestFails() throws Exception {
        environment.put("FAKE_MAVEN_FAILS", "yes");

        Result result = launch(List.of("test"));

        assertThat(result.status()).isEqualTo(1);
        assertThat(result.errors()).contains("tests failed; the whole log:");
    }

    @Test
    void testOfOneModuleChecksItsName() throws Exception {
        Result unknown = launch(List.of("test", "--module", "sever"));
        assertThat(unknown.status()).isEqualTo(2);
        assertThat(unknown.errors()).contains("no module sever");
        assertThat(launch(List.of("test", "--fats")).status()).isEqualTo(2);

        assertThat(launch(List.of("test", "--fast", "--module", "server")).status()).isZero();
        assertThat(mavenCalls()).last().asString().endsWith(" test -Dquarkus.build.skip=true -pl server -am");
    }

    @Test
    void theServerKnowsTheVariablesOfTheLauncher() throws IOException {
        // an unknown SIDEWINDER_ variable stops the start of the server; those of the launcher must not
        String script = Files.readString(repository.resolve("sidewinder"));
        List<String> variables = Pattern.compile("SIDEWINDER_[A-Z_]+").matcher(script).results()
                .map(MatchResult::group).distinct().toList();

        assertThat(variables).contains("SIDEWINDER_JAVA_HOME", "SIDEWINDER_MVN").allSatisfy(variable ->
                assertThatCode(() -> ServerConfig.read(List.of(), Map.of(variable, "x"), folder, Installation.here()))
                        .as(variable).doesNotThrowAnyException());
    }

    private record Result(int status, String output, String errors) {}

    private Result launch(List<String> arguments) throws Exception {
        List<String> command = new ArrayList<>(List.of(repository.resolve("sidewinder").toString()));
        command.addAll(arguments);
        return run(command, folder);
    }

    private Result run(List<String> command, Path workingFolder) throws Exception {
        Process process = start(command, workingFolder);
        assertThat(process.waitFor(PATIENCE_SECONDS, TimeUnit.SECONDS)).as("%s ends", command).isTrue();
        return new Result(process.exitValue(), new String(process.getInputStream().readAllBytes()),
                new String(process.getErrorStream().readAllBytes()));
    }

    private Process start(List<String> command, Path workingFolder) throws IOException {
        var builder = new ProcessBuilder(command).directory(workingFolder.toFile());
        builder.environment().keySet().removeIf(name -> name.startsWith("SIDEWINDER_"));
        builder.environment().remove("JAVA_HOME");
        builder.environment().putAll(environment);
        return builder.start();
    }

    /// A folder that looks like a JDK; its `java` prints its arguments, one a line.
    private Path jdk(String name, String version) throws IOException {
        Path home = Files.createDirectories(folder.resolve(name));
        Files.createDirectories(home.resolve("bin"));
        Files.writeString(home.resolve("release"), "IMPLEMENTOR=\"x\"\nJAVA_VERSION=\"" + version + "\"\nJAVA_RUNTIME_VERSION=\""
                + version + "+9\"\n");
        script(home.resolve("bin/java"), """
                printf '%s\\n' "$@"
                for argument in "$@"; do
                    case $argument in
                        -XX:AOTCacheOutput=*)
                            trap 'echo cache >"${argument#*=}"; env >"${argument#*=}.env"; exit 143' TERM
                            echo "INFO  ready  now"
                            while :; do sleep 0.1; done
                            ;;
                    esac
                done
                exit "${FAKE_JAVA_STATUS:-0}"
                """);
        script(home.resolve("bin/javac"), "exit 0\n");
        return home;
    }

    private static Path script(Path file, String body) throws IOException {
        Files.writeString(file, "#!/bin/sh\n" + body);
        return Files.setPosixFilePermissions(file, PosixFilePermissions.fromString("rwxr-xr-x"));
    }

    private List<String> mavenCalls() throws IOException {
        Path calls = repository.resolve("maven-calls");
        return Files.exists(calls) ? Files.readAllLines(calls) : List.of();
    }

    /// Puts a file's time after the stamp of the build that just ended.
    private static void makeNewer(Path file) throws IOException {
        makeNewer(file, 10);
    }

    private static void makeNewer(Path file, int seconds) throws IOException {
        Files.setLastModifiedTime(file, FileTime.from(Instant.now().plusSeconds(seconds)));
    }

    /// Puts every file back before the stamp, so that the next change is the only one.
    private void ageEverything() throws IOException {
        try (var files = Files.walk(repository)) {
            for (Path file : files.filter(path -> !path.startsWith(repository.resolve("target"))).toList()) {
                if (!file.endsWith("sidewinder.stamp")) {
                    Files.setLastModifiedTime(file, FileTime.from(Instant.now().minusSeconds(100)));
                }
            }
        }
    }
}
