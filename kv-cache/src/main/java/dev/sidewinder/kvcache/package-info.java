/// Which KV blocks and state slots belong to which sequence: bookkeeping over integers, no tensors, no threads of its own.
///
/// Two stand side by side for the moment. [dev.sidewinder.kvcache.SequenceCache] gives out and takes back for the scheduler,
/// from one pool of blocks and one of slots. [dev.sidewinder.kvcache.FrameCache] is to take its place: one pool of frames for
/// both ([dev.sidewinder.kvcache.FramePool]) and a tree of what earlier sequences computed (`PrefixIndex`). So far its tests and
/// a benchmark use it; decision 15 says how scheduler and backends will. Everything here belongs to one thread.
package dev.sidewinder.kvcache;
