/// The HTTP surface: the listener and its limits, the front door that every request passes, and the resources.
///
/// The way of a request: [Listener] opens the port and [ConnectionGate] watches each connection; [FrontDoor] finds the
/// [Route], checks what can be checked before the body, reads the body and makes an [Exchange]; Quarkus REST calls the
/// resource on a virtual thread; the resource answers through the exchange. Nothing is written any other way.
package dev.sidewinder.server.rest;
