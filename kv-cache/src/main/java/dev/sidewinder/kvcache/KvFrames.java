package dev.sidewinder.kvcache;

import java.util.List;

/// The KV blocks and the frames they lie in: the half of [FramePool] that knows about places inside frames.
///
/// A place is free, held under a name, or fenced. The frame of a block is the place divided by the blocks in a frame.
final class KvFrames {

    private final FrameStack frames;
    private final StepFence fence;
    private final int blocksPerFrame;
    private final BlockNames names;

    private final int[] heldIn;
    private final int[] freeIn;
    private final boolean[] isFree;
    /// Newest step that may touch what lies at a place.
    private final long[] touched;
    private final FrameLists open;
    private final FenceQueue fenced;
    private int stranded;
    private int emptying;
    private long moved;

    KvFrames(FrameShape shape, FrameStack frames, StepFence fence) {
        this.frames = frames;
        this.fence = fence;
        this.blocksPerFrame = shape.blocksPerFrame();
        names = new BlockNames(shape.blocks());
        heldIn = new int[shape.frames()];
        freeIn = new int[shape.frames()];
        isFree = new boolean[shape.blocks()];
        touched = new long[shape.blocks()];
        open = new FrameLists(shape.frames(), blocksPerFrame);
        fenced = new FenceQueue(shape.blocks());
    }

    BlockNames names() {
        return names;
    }

    /// Free blocks inside frames that hold or wait for others.
    int stranded() {
        return stranded;
    }

    int fenced() {
        return fenced.size();
    }

    /// Frames that hold nothing any more and wait for steps.
    int emptying() {
        return emptying;
    }

    /// Blocks moved so far.
    long moved() {
        return moved;
    }

    int take() {
        if (open.fullest() == FrameLists.NONE) {
            open(frames.take(FrameStack.Use.KV));
        }
        return names.give(takePlace());
    }

    void touch(int name, long step) {
        int place = names.place(name);
        touched[place] = Math.max(touched[place], step);
    }

    void letGo(int name) {
        int place = names.place(name);
        if (!names.letGo(name)) {
            return;
        }
        leave(place / blocksPerFrame);
        if (touched[place] <= fence.completed()) {
            free(place);
        } else {
            fenced.add(place, touched[place]);
        }
    }

    boolean compact(List<BlockCopy> copies) {
        if (stranded < blocksPerFrame) {
            return false;
        }
        long nextStep = fence.launched() + 1;
        int victim = open.emptiest();
        open.remove(victim);
        for (int place = victim * blocksPerFrame; place < (victim + 1) * blocksPerFrame; place++) {
            int name = names.nameAt(place);
            if (name == BlockNames.NONE) {
                continue;
            }
            int to = takePlace();
            names.move(name, to);
            copies.add(new BlockCopy(place, to));
            touched[to] = nextStep;
            leave(victim);
            fenced.add(place, nextStep);
            moved++;
        }
        open.add(victim, heldIn[victim]);
        return true;
    }

    void completed() {
        while (fenced.hasFallen(fence.completed())) {
            free(fenced.remove());
        }
    }

    private void open(int frame) {
        for (int place = frame * blocksPerFrame; place < (frame + 1) * blocksPerFrame; place++) {
            isFree[place] = true;
        }
        freeIn[frame] = blocksPerFrame;
        stranded += blocksPerFrame;
        emptying++;
        open.add(frame, 0);
    }

    /// A free place of the fullest open frame.
    private int takePlace() {
        int frame = open.fullest();
        int place = frame * blocksPerFrame;
        while (!isFree[place]) {
            place++;
        }
        isFree[place] = false;
        open.remove(frame);
        emptying -= heldIn[frame] == 0 ? 1 : 0;
        heldIn[frame]++;
        freeIn[frame]--;
        stranded--;
        if (freeIn[frame] > 0) {
            open.add(frame, heldIn[frame]);
        }
        return place;
    }

    /// A block of the frame is held no more.
    private void leave(int frame) {
        boolean listed = open.contains(frame);
        if (listed) {
            open.remove(frame);
        }
        heldIn[frame]--;
        emptying += heldIn[frame] == 0 ? 1 : 0;
        if (listed) {
            open.add(frame, heldIn[frame]);
        }
    }

    private void free(int place) {
        int frame = place / blocksPerFrame;
        isFree[place] = true;
        freeIn[frame]++;
        stranded++;
        if (freeIn[frame] == 1) {
            open.add(frame, heldIn[frame]);
        }
        if (freeIn[frame] == blocksPerFrame) {
            open.remove(frame);
            freeIn[frame] = 0;
            stranded -= blocksPerFrame;
            emptying--;
            frames.giveBack(frame, FrameStack.Use.KV);
        }
    }

    void checkInvariants() {
        names.checkInvariants();
        boolean[] waits = new boolean[isFree.length];
        for (int i = 0; i < fenced.size(); i++) {
            expect(!waits[fenced.get(i)], "place fenced once", fenced.get(i));
            waits[fenced.get(i)] = true;
        }
        int strandedNow = 0;
        int emptyingNow = 0;
        for (int frame = 0; frame < heldIn.length; frame++) {
            boolean kv = frames.use(frame) == FrameStack.Use.KV;
            int held = 0;
            int free = 0;
            for (int place = frame * blocksPerFrame; place < (frame + 1) * blocksPerFrame; place++) {
                boolean named = names.nameAt(place) != BlockNames.NONE;
                held += named ? 1 : 0;
                free += kv && isFree[place] ? 1 : 0;
                int states = (named ? 1 : 0) + (waits[place] ? 1 : 0) + (kv && isFree[place] ? 1 : 0);
                expect(states == (kv ? 1 : 0), "state of a place", place);
            }
            expect(held == heldIn[frame] && free == freeIn[frame], "blocks of a frame", frame);
            expect(!kv || free < blocksPerFrame, "empty frame that is not free", frame);
            expect(open.contains(frame) == free > 0 && (free == 0 || open.held(frame) == held), "list of open frames", frame);
            strandedNow += free;
            emptyingNow += kv && held == 0 ? 1 : 0;
        }
        expect(strandedNow == stranded, "free blocks in frames", stranded);
        expect(emptyingNow == emptying, "frames that are being emptied", emptying);
    }

    private static void expect(boolean holds, String what, int index) {
        if (!holds) {
            throw new IllegalStateException(what + " is wrong: " + index);
        }
    }
}
