/// A backend that computes nothing: for measuring and testing everything around the model.
package dev.sidewinder.engine.stub;
