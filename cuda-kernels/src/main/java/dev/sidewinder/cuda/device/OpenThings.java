package dev.sidewinder.cuda.device;

import java.util.ArrayList;
import java.util.Collections;
import java.util.IdentityHashMap;
import java.util.List;
import java.util.Map;

/// What was opened on a device and not closed yet, so that a leak is named when the device is closed.
final class OpenThings {

    /// Each thing with what gives it back without asking whether it is still open.
    private final Map<Object, Runnable> open = new IdentityHashMap<>();

    void add(Object thing, Runnable release) {
        open.put(thing, release);
    }

    boolean isOpen(Object thing) {
        return open.containsKey(thing);
    }

    /// Gives back a thing that is open.
    void release(Object thing) {
        open.remove(thing).run();
    }

    int count() {
        return open.size();
    }

    /// Releases everything that is left and returns what it was, in words, sorted.
    List<String> releaseAll() {
        List<String> left = new ArrayList<>();
        for (Map.Entry<Object, Runnable> thing : open.entrySet()) {
            left.add(thing.getKey().toString());
            thing.getValue().run();
        }
        open.clear();
        Collections.sort(left);
        return left;
    }
}
