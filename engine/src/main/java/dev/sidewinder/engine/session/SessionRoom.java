package dev.sidewinder.engine.session;

import dev.sidewinder.engine.SessionBytes;
import dev.sidewinder.engine.SessionDesk;
import dev.sidewinder.engine.SessionMemory;
import dev.sidewinder.engine.session.SessionException.Kind;
import dev.sidewinder.kvcache.CacheShape;
import java.util.Optional;

/// Where sessions are: in the host area, of which they have a part, or in their files. Each method is for who holds the session.
final class SessionRoom {

    /// Of the host area sessions get one part in so many.
    private static final int HOST_SHARE = 2;

    private final SessionDesk desk;
    private final SessionBook book;
    private final Optional<SessionFolder> folder;
    private final SessionDesk.Sizes sizes;
    private final int mostStates;
    private final int mostBlocks;

    SessionRoom(SessionDesk desk, SessionBook book, Optional<SessionFolder> folder, SessionDesk.Sizes sizes) {
        this.desk = desk;
        this.book = book;
        this.folder = folder;
        this.sizes = sizes;
        mostStates = Math.max(1, desk.host().states() / HOST_SHARE);
        mostBlocks = Math.max(1, desk.host().blocks() / HOST_SHARE);
    }

    /// History and memory of a session are here now.
    void hold(Session session, SessionRecord history, Optional<SessionMemory> memory) {
        book.hold(session, history, memory,
                memory.map(each -> sizes.slotBytes() + each.blocks() * sizes.blockBytes()).orElse(0L));
    }

    /// Reads a session that is in its file; one that is here stays as it is.
    ///
    /// @throws SessionException `INCOMPATIBLE`, `DAMAGED`, `TOO_LARGE`, `NO_ROOM`, `STORAGE`
    void bringBack(Session session) {
        if (session.live) {
            return;
        }
        try (SessionFile file = requireFolder().open(session.key)) {
            hold(session, file.session(), file.image().map(this::adopt));
        }
    }

    private SessionMemory adopt(SessionBytes image) {
        makeRoom(image.blocks().size());
        return desk.adopt(image.computed(), places -> copy(image, places)).orElseThrow(() -> new SessionException(Kind.NO_ROOM,
                "the host area has no room for " + image.blocks().size() + " blocks for now"));
    }

    private static void copy(SessionBytes from, SessionBytes to) {
        to.state().copyFrom(from.state());
        for (int i = 0; i < from.blocks().size(); i++) {
            to.blocks().get(i).copyFrom(from.blocks().get(i));
        }
    }

    /// Writes a session to its file and lets go of its memory; one that is in its file stays as it is.
    ///
    /// @throws SessionException `UNSUPPORTED` without a folder, `STORAGE`
    void putAway(Session session) {
        SessionFolder files = requireFolder();
        if (!session.live) {
            return;
        }
        var written = new long[1];
        SessionRecord history = session.history();
        session.memory().ifPresentOrElse(
                memory -> desk.read(memory, bytes -> written[0] = files.write(history, Optional.of(bytes))),
                () -> written[0] = files.write(history, Optional.empty()));
        int computed = session.memory().map(SessionMemory::computed).orElse(0);
        session.memory().ifPresent(desk::drop);
        book.store(session, history.tokens().length, computed, written[0]);
    }

    /// Deletes what there is of a session.
    void delete(Session session) {
        folder.ifPresent(files -> files.delete(session.key));
        session.memory().ifPresent(desk::drop);
        book.leave(session);
    }

    /// Sends sessions to their files, those first that were not used for longest, until so many blocks and a state more are within
    /// the part of sessions. Without a folder they lose their memory. Blocks that several share count for each.
    ///
    /// @throws SessionException `TOO_LARGE` when they never are
    void makeRoom(int blocks) {
        if (blocks > mostBlocks) {
            throw new SessionException(Kind.TOO_LARGE, "the session needs " + blocks + " blocks of " + CacheShape.BLOCK_TOKENS
                    + " tokens in the host area; sessions have " + mostBlocks);
        }
        for (Optional<Session> next = oldest(blocks); next.isPresent(); next = oldest(blocks)) {
            Session session = next.get();
            try {
                if (folder.isPresent()) {
                    putAway(session);
                } else {
                    session.memory().ifPresent(desk::drop);
                    hold(session, session.history(), Optional.empty());
                }
            } finally {
                book.settle(session);
            }
        }
    }

    private Optional<Session> oldest(int blocks) {
        return book.takeOldest(mostStates, mostBlocks, blocks);
    }

    private SessionFolder requireFolder() {
        return folder.orElseThrow(() -> new SessionException(Kind.UNSUPPORTED, "no folder for session files is set"));
    }
}
