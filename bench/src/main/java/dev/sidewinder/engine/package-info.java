/// Benchmarks of classes that the engine keeps to itself.
package dev.sidewinder.engine;
