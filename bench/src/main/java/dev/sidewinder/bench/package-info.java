/// Measurements, each a subcommand of `./sidewinder bench`: see [Main].
///
/// A figure here comes with what is needed to believe it: the median of several repeats and their range, whether other
/// programs kept the processors busy meanwhile ([QuietMachine]), and the limit of the machine it is measured against.
package dev.sidewinder.bench;
