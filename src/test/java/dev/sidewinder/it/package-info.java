/// End-to-end tests: each starts the packaged server as a process and speaks HTTP to it.
package dev.sidewinder.it;
