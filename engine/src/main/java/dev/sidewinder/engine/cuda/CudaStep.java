package dev.sidewinder.engine.cuda;

import static java.lang.foreign.ValueLayout.JAVA_INT;

import dev.sidewinder.cuda.device.Event;
import dev.sidewinder.cuda.device.PinnedMemory;
import dev.sidewinder.cuda.device.Stream;
import dev.sidewinder.engine.LaunchedStep;
import dev.sidewinder.engine.Logits;
import dev.sidewinder.engine.RowSampler;
import dev.sidewinder.engine.Sample;
import dev.sidewinder.scheduler.Batch;
import dev.sidewinder.scheduler.BatchEntry;
import dev.sidewinder.scheduler.TokenSource;
import java.util.Arrays;
import java.util.BitSet;
import java.util.Optional;

/// A step of a [CudaBackend]: which row of the device is which row of the batch, and how far the step is. Two of them take
/// turns, since one is launched before the other has been read.
///
/// The rows on the device are those of generated tokens, then those of prompts of which logits are wanted.
final class CudaStep implements LaunchedStep {

    private static final int NONE = -1;

    private enum Stage { IDLE, LAUNCHED, SAMPLED }

    /// What the steps of a backend share.
    ///
    /// @param sampler absent when the host chooses
    record Shared(Stream stream, CudaFrames frames, StepPasses passes, CudaMemory memory, HostLogits logits, Optional<DeviceSampler> sampler,
            boolean runsAhead, int vocabSize) {}

    private final Shared shared;
    private final Event done;
    /// int32 for each piece of a prompt, as the device left it: 1 = not finite.
    private final PinnedMemory spoiled;
    /// The piece of each entry of the batch; -1 for a generated token.
    private final int[] pieceOf;
    private Stage stage = Stage.IDLE;
    private boolean mayGoOn;
    private int rows;
    /// The batch's row of each generated token (-1: none), and of each wanted row of prompts.
    private final int[] decodeTarget;
    private final int[] promptTarget;
    private int decodeRows;
    private int promptRows;
    /// The row on the device that chooses the next token of the sequence in a slot; -1 = none.
    private final int[] rowOfSlot;
    /// The rows on the device from which the host chooses.
    private final BitSet onHost = new BitSet();
    private RowSampler wanted;

    /// @param spoiled room for [#spoiledBytes]
    CudaStep(Shared shared, Event done, PinnedMemory spoiled, CudaOptions options, int slots) {
        this.shared = shared;
        this.done = done;
        this.spoiled = spoiled;
        pieceOf = new int[options.decodeRows() + options.maxSequences()];
        decodeTarget = new int[options.decodeRows()];
        promptTarget = new int[options.maxBatchTokens()];
        rowOfSlot = new int[slots];
    }

    static long spoiledBytes(CudaOptions options) {
        return (long) options.maxSequences() * Integer.BYTES;
    }

    /// Launches the pass of a batch, and the copies around them. There may be nothing but copies.
    ///
    /// @param before the latest step, which may be under way
    void launch(Batch batch, CudaStep before) {
        require(Stage.IDLE);
        StepPasses passes = shared.passes();
        passes.clear();
        rows = 0;
        Arrays.fill(pieceOf, NONE);
        for (int i = 0; i < batch.entries().size(); i++) {
            BatchEntry entry = batch.entries().get(i);
            switch (entry.source()) {
                case PROMPT -> {
                    int wantedRows = passes.promptLogitRows();
                    passes.addPrompt(entry);
                    pieceOf[i] = passes.pieces() - 1;
                    while (wantedRows < passes.promptLogitRows()) {
                        promptTarget[wantedRows++] = rows++;
                    }
                }
                case GENERATED -> addDecode(entry, StepTables.KNOWN);
                case UNREAD -> addDecode(entry, before.tokenRow(entry));
            }
        }
        decodeRows = passes.decodeRows();
        promptRows = passes.promptLogitRows();
        noteRowsOfSlots(batch);
        shared.frames().prepare(batch);
        passes.launch(shared.sampler(), spoiled.segment());
        shared.frames().keep(batch.memory());
        stage = Stage.LAUNCHED;
    }

    private void addDecode(BatchEntry entry, int source) {
        shared.passes().addDecode(entry, source);
        decodeTarget[shared.passes().decodeRows() - 1] = entry.logitRows() > 0 ? rows++ : NONE;
    }

    /// The row that chooses the token of an entry of the step behind this one.
    private int tokenRow(BatchEntry entry) {
        int row = rowOfSlot[entry.allocation().slot()];
        if (!allowsNext() || row == NONE) {
            throw new IllegalStateException("sequence " + entry.sequence() + " is to run token " + entry.from()
                    + ", which no step under way is about to choose on the device");
        }
        return row;
    }

    private void noteRowsOfSlots(Batch batch) {
        Arrays.fill(rowOfSlot, NONE);
        int decode = 0;
        int prompt = decodeRows;
        for (BatchEntry entry : batch.entries()) {
            if (entry.source() != TokenSource.PROMPT) {
                rowOfSlot[entry.allocation().slot()] = decode++;
            } else if (entry.logitRows() > 0) {
                prompt += entry.logitRows();
                rowOfSlot[entry.allocation().slot()] = prompt - 1;
            }
        }
    }

    /// Whether the step behind may be launched though this one has not been awaited.
    boolean allowsNext() {
        return stage == Stage.SAMPLED && mayGoOn;
    }

    /// Whether it has been launched and not awaited.
    boolean isUnderWay() {
        return stage != Stage.IDLE;
    }

    @Override
    public boolean sample(RowSampler sampler) {
        begin(Stage.LAUNCHED, Stage.SAMPLED);
        wanted = sampler;
        onHost.clear();
        if (shared.sampler().isPresent()) {
            describe(shared.sampler().get());
        } else {
            takeAllToTheHost();
        }
        mayGoOn = shared.runsAhead() && onHost.isEmpty();
        launchSampling(shared.sampler());
        return mayGoOn;
    }

    private void begin(Stage expected, Stage next) {
        require(expected);
        stage = next;
    }

    private void require(Stage expected) {
        if (stage != expected) {
            throw new IllegalStateException("a step is launched, sampled and awaited, once each; this one is " + stage + " and not "
                    + expected);
        }
    }

    private void describe(DeviceSampler sampler) {
        sampler.begin();
        for (int at = 0; at < decodeRows + promptRows; at++) {
            if (target(at) == NONE) {
                sampler.addNothing();
            } else if (!sampler.add(wanted, target(at))) {
                onHost.set(at);
            }
        }
        sampler.upload();
    }

    private void takeAllToTheHost() {
        for (int at = 0; at < decodeRows + promptRows; at++) {
            onHost.set(at, target(at) != NONE);
        }
    }

    private int target(int at) {
        return at < decodeRows ? decodeTarget[at] : promptTarget[at - decodeRows];
    }

    /// @param sampler absent when all rows go to the host
    private void launchSampling(Optional<DeviceSampler> sampler) {
        shared.logits().begin(onHost.isEmpty() ? 0 : rows);
        if (decodeRows > 0) {
            sampler.ifPresent(device -> device.choose(shared.memory().decodeLogits(), shared.passes().decodeSlots(), 0, decodeRows));
            copyDecodeRows();
        }
        for (int first = 0; first < promptRows; first += CudaMemory.LOGIT_ROWS) {
            int count = Math.min(CudaMemory.LOGIT_ROWS, promptRows - first);
            int at = decodeRows + first;
            long logits = shared.passes().promptLogits(first, count);
            sampler.ifPresent(device -> device.choose(logits, 0, at, count));
            fetchPromptRows(logits, at, count);
        }
        sampler.ifPresent(DeviceSampler::collect);
        shared.frames().finish();
        shared.stream().record(done);
    }

    /// Sends the decode rows to the host that it chooses from: runs of neighbours at once.
    private void copyDecodeRows() {
        int first = onHost.nextSetBit(0);
        while (first >= 0 && first < decodeRows) {
            int end = Math.min(onHost.nextClearBit(first), decodeRows);
            shared.logits().copyDecodeRows(shared.memory().decodeLogits(), first, end - first);
            first = onHost.nextSetBit(end);
        }
    }

    /// Waits for the rows of a part of the prompts that the host chooses from: the next part takes their place.
    private void fetchPromptRows(long logits, int from, int count) {
        int at = onHost.nextSetBit(from);
        if (at < 0 || at >= from + count) {
            return;
        }
        shared.logits().fetchPromptRows(logits, count);
        for (; at >= 0 && at < from + count; at = onHost.nextSetBit(at + 1)) {
            shared.logits().takePromptRow(at - from, target(at));
        }
    }

    @Override
    public Sample[] await() {
        Sample[] samples = new Sample[rows];
        waitAndTakeDecodeRows();
        for (int at = 0; at < decodeRows + promptRows; at++) {
            int row = target(at);
            if (row != NONE) {
                samples[row] = onHost.get(at) ? wanted.sample(row, shared.logits().values(), shared.logits().offset(row))
                        : shared.sampler().orElseThrow().read(at);
            }
        }
        return samples;
    }

    private void waitAndTakeDecodeRows() {
        begin(Stage.SAMPLED, Stage.IDLE);
        done.synchronize();
        for (int at = onHost.nextSetBit(0); at >= 0 && at < decodeRows; at = onHost.nextSetBit(at + 1)) {
            shared.logits().takeDecodeRow(at, decodeTarget[at]);
        }
    }

    @Override
    public boolean isFinite(int entry) {
        require(Stage.IDLE);
        return pieceOf[entry] == NONE || spoiled.segment().getAtIndex(JAVA_INT, pieceOf[entry]) == 0;
    }

    /// Ends the step in place of [#sample] and [#await]: all rows as they are.
    Logits logits() {
        begin(Stage.LAUNCHED, Stage.SAMPLED);
        onHost.clear();
        takeAllToTheHost();
        mayGoOn = false;
        launchSampling(Optional.empty());
        waitAndTakeDecodeRows();
        var spoiledEntries = new BitSet();
        for (int entry = 0; entry < pieceOf.length; entry++) {
            spoiledEntries.set(entry, !isFinite(entry));
        }
        return new Logits(shared.logits().values(), rows, shared.vocabSize(), spoiledEntries);
    }
}
