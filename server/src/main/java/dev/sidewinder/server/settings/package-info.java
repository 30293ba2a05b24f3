/// The settings of the server: one table ([Settings]), four places a value may come from ([SettingsReader]: flags,
/// environment, properties file, default), one typed record that the rest of the server sees ([ServerConfig]).
///
/// Read [Settings] first: a new setting is a line there and a component of [ServerConfig].
package dev.sidewinder.server.settings;
