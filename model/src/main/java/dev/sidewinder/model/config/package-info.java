/// The shape of a model, read from `config.json` and its companions. Read [dev.sidewinder.model.config.ModelConfig]
/// first, then [dev.sidewinder.model.config.ConfigReader], which fills it.
package dev.sidewinder.model.config;
