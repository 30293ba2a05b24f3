/// What end-to-end tests share: a server in a process of its own ([ServerProcess]), a client that speaks JSON and
/// server-sent events ([Api]), and one that speaks bytes ([RawHttp]).
package dev.sidewinder.it.support;
