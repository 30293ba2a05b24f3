/// Counters, gauges and histograms, and the text a scraper reads.
///
/// We write the exposition format ourselves because client libraries refuse or rewrite names such as the histogram
/// `vllm:iteration_tokens_total` and the gauge `vllm:cache_config_info`, which scrapers of other servers expect.
/// Start at [MetricRegistry]; what is measured stands in [ServerMetrics] and [EngineMetrics].
package dev.sidewinder.server.metrics;
