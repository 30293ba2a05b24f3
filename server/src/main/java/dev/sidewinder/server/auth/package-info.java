/// Who may ask for what: keys, their file, and the decision at the door. Begin with [Gatekeeper]; [KeyFile] says what a
/// file of keys looks like.
package dev.sidewinder.server.auth;
