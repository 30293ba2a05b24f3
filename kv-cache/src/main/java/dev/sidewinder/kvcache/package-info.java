/// Which KV blocks and state slots belong to which sequence: bookkeeping over integers, no tensors, no threads.
///
/// Read [dev.sidewinder.kvcache.SequenceCache] first: it gives out and takes back. Everything here belongs to one thread.
package dev.sidewinder.kvcache;
