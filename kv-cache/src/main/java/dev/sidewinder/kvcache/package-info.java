/// Which frames of memory hold whose states and KV blocks, and what of them later sequences can go on from: bookkeeping over
/// integers, no tensors, no threads of its own.
///
/// Read [dev.sidewinder.kvcache.FrameCache] first, then [dev.sidewinder.kvcache.FramePool] for the frames and `PrefixIndex` for the
/// tree. Everything here belongs to one thread. Decision 15 says why.
package dev.sidewinder.kvcache;
