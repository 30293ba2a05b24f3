/// The device and what lives on it: memory, streams, graphs. The only package that knows JCuda. Read `Device` first.
package dev.sidewinder.cuda.device;
