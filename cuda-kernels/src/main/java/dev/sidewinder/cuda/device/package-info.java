/// The device and what lives on it: memory, streams, events, graphs, loaded modules. The only package that knows JCuda;
/// `DriverCalls` binds what JCuda lacks and checks every return code. Read `Device` first.
package dev.sidewinder.cuda.device;
