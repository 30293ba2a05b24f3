/// Which KV blocks and state slots belong to which sequence: bookkeeping over integers, no tensors, no threads of its own.
///
/// Read [dev.sidewinder.kvcache.SequenceCache] first: it gives out and takes back, for the scheduler. Blocks and slots are two
/// pools there. [dev.sidewinder.kvcache.FramePool] is the one pool that will stand in their place; so far only its tests
/// use it. Everything here belongs to one thread.
package dev.sidewinder.kvcache;
