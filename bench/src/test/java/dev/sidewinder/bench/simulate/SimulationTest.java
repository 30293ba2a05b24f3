package dev.sidewinder.bench.simulate;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.within;

import dev.sidewinder.kvcache.FrameShape;
import dev.sidewinder.kvcache.HostShape;
import dev.sidewinder.kvcache.ReuseEstimate;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.LogitRows;
import dev.sidewinder.scheduler.SchedulerLimits;
import dev.sidewinder.scheduler.TokenSource;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

class SimulationTest {

    private static final Map<TrafficKind, Double> MIXED = Map.of(TrafficKind.CHAT, 2.0, TrafficKind.AGENT, 0.2, TrafficKind.DOCUMENT, 0.02);
    private static final Policy FCFS = Policies.FCFS;
    private static final Policy EVERYTHING = Policies.ALL;
    private static final List<Policy> POLICIES = List.of(FCFS, Policies.named("fcfs+suspension+turns"), Policies.named("all-suspension"), EVERYTHING);
    private static final SimulatedModel NANO = SimulatedModels.nano(Gpu.ATTAINED_BANDWIDTH, Gpu.ATTAINED_PRODUCTS);

    @Test
    void givesTheSameResultForTheSameSeed() {
        Traffic traffic = Traffic.generate(MIXED, 120, 5);
        String once = json(simulate(EVERYTHING, bounds(120), traffic));
        assertThat(json(simulate(EVERYTHING, bounds(120), traffic))).isEqualTo(once);
        assertThat(json(simulate(EVERYTHING, bounds(120), Traffic.generate(MIXED, 120, 6)))).isNotEqualTo(once);
    }

    @Test
    void takesWhatItsStepsTake() {
        // given one request of 300 tokens that gets three
        Traffic one = traffic(conversation("one", 2.0, turn(300 - 5, 3, 3)));

        SimulationResult result = simulate(FCFS, bounds(60), one);

        // then the first comes after a step of its prompt, the others one generated token later each
        GroupStats all = result.all();
        double host = Gpu.hostNanos(1) / 1e9;
        double prompt = promptSeconds(300);
        assertThat(all.finished).isEqualTo(1);
        assertThat(all.firstTokenSeconds.max()).isCloseTo(host + prompt, within(1e-6));
        double second = NANO.timer().generatedMicros(1, 301) / 1e6;
        double third = NANO.timer().generatedMicros(1, 302) / 1e6;
        assertThat(all.gapSeconds.size()).isEqualTo(2);
        assertThat(all.gapSeconds.percentile(50)).isCloseTo(Math.min(second, third), within(1e-6));
        assertThat(all.gapSeconds.max()).isCloseTo(Math.max(second, third), within(1e-6));
        assertThat(all.requestSeconds.max()).isCloseTo(host + prompt + second + third, within(1e-5));
        assertThat(result.work().steps()).isEqualTo(3);
        assertThat(result.work().lateCompletions()).isZero();
    }

    @Test
    void runsOneStepTooManyWhereAnAnswerEndsBeforeItsLimit() {
        SimulationResult result = simulate(FCFS, bounds(60), traffic(conversation("one", 0, turn(100, 3, 100))));
        assertThat(result.all().generatedTokens).isEqualTo(3);
        assertThat(result.work().steps()).isEqualTo(4);
        assertThat(result.work().lateCompletions()).isEqualTo(1);
    }

    @Test
    void letsARequestWaitForTheStepUnderWayAndTheNext() {
        // given one that generates, and another that comes while it does
        Traffic two = traffic(conversation("long", 0, turn(100, 2000, 2000)), conversation("late", 1.0, turn(100, 1, 1)));
        SimulationResult result = simulate(FCFS, bounds(60), two);
        double decode = NANO.timer().generatedMicros(1, 600) / 1e6;
        double late = result.all().firstTokenSeconds.max();
        // its own step has the generated token of the other, too
        double own = promptSeconds(105, new BatchEntry(2, new int[0], 600, 1, TokenSource.GENERATED, LogitRows.LAST, null));
        assertThat(late).isBetween(own + 0.9 * decode, own + 2.1 * decode);
    }

    @Test
    void sendsATurnWhenTheAnswerBeforeHasEndedAndItsTimeHasPassed() {
        var second = new Turn(Turn.Input.USER, 7.5, List.of(new Passage("more", 10)), 0, 2, 2);
        var conversation = new Conversation("c", "chat", "t", 0, 1, List.of(), List.of(turn(100, 5, 5), second));
        SimulationResult result = simulate(FCFS, bounds(60), traffic(conversation));
        assertThat(result.all().finished).isEqualTo(2);
        assertThat(result.endSeconds()).isCloseTo(1 + 7.5 + result.all().requestSeconds.mean() * 2, within(1e-6));
    }

    @Test
    void endsEveryRequestAndLosesNoToken() {
        Traffic traffic = Traffic.generate(MIXED, 90, 9);
        for (Policy policy : POLICIES) {
            // requests come for so long that no turn is left out
            SimulationResult result = simulate(policy, bounds(100_000), traffic);
            GroupStats all = result.all();
            assertThat(all.finished + all.refused).as(policy.name()).isEqualTo(traffic.requests());
            assertThat(all.refused).as(policy.name()).isZero();
            long expected = traffic.conversations().stream().flatMap(each -> each.turns().stream()).mapToLong(Turn::generatedTokens).sum();
            assertThat(all.generatedTokens).as(policy.name()).isEqualTo(expected);
            assertThat(Math.round(100_000 * result.rates().generated())).as(policy.name()).isEqualTo(expected);
            long prompts = Math.round(100_000 * (result.rates().computedPrompt() + result.rates().reusedPrompt()));
            assertThat(prompts).as(policy.name()).isEqualTo(all.promptTokens + result.work().preparations().tokens());
            assertThat(all.gapSeconds.size()).as(policy.name()).isEqualTo((int) (expected - all.finished));
            assertThat(result.groups().stream().skip(1).mapToLong(each -> each.finished).sum()).isEqualTo(all.finished);
            assertThat(result.tenants().stream().mapToLong(each -> each.promptTokens).sum()).isEqualTo(all.promptTokens);
            // nothing is held when all have ended
            assertThat(result.cache().atRest()).as("%s: %s", policy.name(), result.cache()).isTrue();
        }
    }

    @Test
    void computesAllOfEveryPromptWithoutReuse() {
        SimulationResult result = simulate(FCFS, bounds(120), Traffic.generate(MIXED, 120, 5));
        assertThat(result.all().reusedTokens).isZero();
        assertThat(result.rates().reusedPrompt()).isZero();
        assertThat(result.cache().counts().lookups()).isZero();
    }

    /// Hardly any memory: sequences wait for each other, and nothing is lost.
    @ParameterizedTest
    @ValueSource(longs = {1, 2, 3})
    void keepsItsBooksWhereMemoryIsShort(long seed) {
        SimulatedModel tight = SimulatedModels.nano(new FrameShape(9, 64), new HostShape(8, 400));
        Traffic traffic = Traffic.generate(Map.of(TrafficKind.CHAT, 3.0), 60, seed);
        for (Policy policy : POLICIES) {
            var simulation = new Simulation(tight, bounds(60), policy, traffic);
            simulation.checkEachStep();
            SimulationResult result = simulation.run();
            assertThat(result.all().finished).as(policy.name()).isGreaterThan(100);
            assertThat(result.cache().atRest()).as("%s: %s", policy.name(), result.cache()).isTrue();
        }
    }

    @Test
    void refusesWhatFindsTheQueueFull() {
        SimulatedModel tight = SimulatedModels.nano(new FrameShape(3, 64), HostShape.NONE);
        List<Conversation> many = new ArrayList<>();
        for (int i = 0; i < 20; i++) {
            many.add(conversation("c" + i, 0.001 * i, turn(500, 50, 50)));
        }
        var bounds = new Simulation.Bounds(SimulatedModels.LIMITS, 4, ReuseEstimate.DEFAULT, new Simulation.Span(60, 0, 1));
        SimulationResult result = new Simulation(tight, bounds, FCFS, new Traffic("many", many)).run();
        assertThat(result.all().refused).isPositive();
        assertThat(result.all().finished + result.all().refused).isEqualTo(20);
    }

    @Test
    void refusesWhatCanNeverFit() {
        var limits = new SchedulerLimits(4, 256, 1000);
        var bounds = new Simulation.Bounds(limits, 10, ReuseEstimate.DEFAULT, new Simulation.Span(60, 0, 1));
        Traffic traffic = traffic(conversation("fits", 0, turn(500, 5, 495)), conversation("long", 0, turn(500, 5, 496)));
        SimulationResult result = new Simulation(NANO, bounds, FCFS, traffic).run();
        assertThat(result.all().finished).isEqualTo(1);
        assertThat(result.all().refused).isEqualTo(1);
    }

    @Test
    void countsOnlyRequestsBehindTheWarmUp() {
        Traffic traffic = traffic(conversation("early", 1, turn(100, 5, 5)), conversation("late", 31, turn(100, 5, 5)));
        var bounds = new Simulation.Bounds(SimulatedModels.LIMITS, 10, ReuseEstimate.DEFAULT, new Simulation.Span(60, 30, 1));
        SimulationResult result = new Simulation(NANO, bounds, FCFS, traffic).run();
        assertThat(result.all().finished).isEqualTo(1);
        assertThat(result.rates().generated()).isEqualTo(5 / 30.0);
        assertThat(result.timeline().stream().mapToDouble(Timeline.Point::generated).sum()).isEqualTo(10);
    }

    /// A step with one whole prompt in it.
    private static double promptSeconds(int tokens, BatchEntry... others) {
        List<BatchEntry> entries = new ArrayList<>(List.of(others));
        entries.add(new BatchEntry(1, new int[0], 0, tokens, TokenSource.PROMPT, LogitRows.LAST, null));
        return NANO.timer().time(new Batch(1, entries)).micros() / 1e6;
    }

    private static SimulationResult simulate(Policy policy, Simulation.Bounds bounds, Traffic traffic) {
        return new Simulation(NANO, bounds, policy, traffic).run();
    }

    private static Simulation.Bounds bounds(double seconds) {
        return new Simulation.Bounds(SimulatedModels.LIMITS, 1024, ReuseEstimate.DEFAULT, new Simulation.Span(seconds, 0, Math.max(1, seconds / 100)));
    }

    private static String json(SimulationResult result) {
        return ResultJson.of(new Heading("", "", ""), List.of(result)) + ResultJson.timelineCsv(result);
    }

    private static Traffic traffic(Conversation... conversations) {
        return new Traffic("by hand", List.of(conversations));
    }

    /// A message of its own of so many tokens, and as many in answer.
    private static Conversation conversation(String name, double at, Turn turn) {
        return new Conversation(name, "chat", name, 0, at, List.of(new Passage(name + ".system", 0)), List.of(turn));
    }

    private static Turn turn(int message, int answer, int limit) {
        return new Turn(Turn.Input.USER, 0, List.of(new Passage("message", message)), 0, answer, limit);
    }
}
