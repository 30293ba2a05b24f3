/// Tests of the commands and of the launcher.
package dev.sidewinder.server.cli;
